"""One run from its start to its end: what it computes with, its objects, its training, its record, its progress.

Of hft only train.py, evaluate.py and the command line know this room; it knows every other one.
"""

from __future__ import annotations

from hft.running.assembly import (
    data_options,
    load_start,
    params_of,
    parent_of,
    parts_of,
    settings_of,
    settled,
    starting_model,
)
from hft.running.fitting import drop_checkpoints, fit, on_device
from hft.running.kept import store_folder
from hft.running.run import Run
from hft.running.surroundings import Surroundings
from hft.running.trial import Trial, TrialResult, trial_values
from hft.running.trial_training import repeat_trial, train_trial
from hft.running.winner import measure_winner

__all__ = [
    "Run",
    "Surroundings",
    "Trial",
    "TrialResult",
    "data_options",
    "drop_checkpoints",
    "fit",
    "load_start",
    "measure_winner",
    "on_device",
    "params_of",
    "parent_of",
    "parts_of",
    "repeat_trial",
    "settings_of",
    "settled",
    "starting_model",
    "store_folder",
    "train_trial",
    "trial_values",
]
