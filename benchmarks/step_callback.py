"""A Lightning callback that tells the end of every training step of hft. Not a benchmark itself."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from turns import Baton
from workloads import RESULTS

baton: Baton | None = None  # of this process; the config names the class, and cannot hold the baton


class StepCallback(pl.Callback):
    """Hands each step's number of sessions and logged values to the baton of this module.

    It also sees that a step of W1 trained on every pair that it should: the positive with each listed negative.
    """

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """hft's own callbacks have done their work for the step when this is called."""
        assert baton is not None
        pairs = (RESULTS - 1) * batch.num_sessions
        if pl_module.step_values["train_pairs"] != pairs:
            raise AssertionError(f"hft trained on {pl_module.step_values['train_pairs']:.0f} pairs, not on {pairs}")
        baton.step_done(batch.num_sessions, **pl_module.step_values)
