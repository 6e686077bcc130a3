"""Keeps Lightning's notices about itself out of the terminal. What hft has to say stays readable that way."""

from __future__ import annotations

import logging
import warnings

from lightning_fabric.utilities.warnings import PossibleUserWarning


def quiet_lightning() -> None:
    """Lightning's errors stay; its tips, its device table and its guesses at what a user might have meant go."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty", category=Warning)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=Warning)
    warnings.filterwarnings("ignore", message="`training_step` returned `None`", category=Warning)
    warnings.filterwarnings("ignore", message="Found .* module\\(s\\) in eval mode", category=Warning)
