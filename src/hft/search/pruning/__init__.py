"""Stopping hopeless trials: `current` is the trial from within, `intermediate` its reports, `pruners` the verdict."""
