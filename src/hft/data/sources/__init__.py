"""Where records come from: files and stores, databases, data sets, logs of user behaviour, and several of these."""
