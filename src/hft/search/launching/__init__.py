"""Where trials run: `launcher` is the contract; Hydra's launchers, worker processes and plain functions fulfil it."""
