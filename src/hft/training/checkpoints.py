"""When a training writes a checkpoint, and which one a resumed training goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from hft.errors import DamagedError
from hft.training.checkpoint_folder import CheckpointFolder, checkpoint_path, checkpoints_in, read_state

__all__ = ["Checkpoints", "SavedPoint", "last_saved"]

# The last one may be damaged.
KEPT = 2
# Of the time of a training, what checkpoints may take: after a slow one the next waits.
MOST_OF_THE_TIME = 0.02


@dataclass(frozen=True)
class SavedPoint:
    """A checkpoint that was found whole.

    Args:
        path: of its folder.
        step: optimizer steps that were done.
        rows: rows of steps.jsonl that were written.
    """

    path: Path
    step: int
    rows: int


def last_saved(folder: Path, *, rows: int, notify: Callable[[str], object]) -> SavedPoint | None:
    """The last checkpoint that is whole; None: there is none.

    Args:
        folder: with the checkpoints of a run; damaged ones are removed.
        rows: rows that steps.jsonl has: a power cut may have taken some that a checkpoint counts.
        notify: is told of damaged ones.
    """
    for path in checkpoints_in(folder):
        try:
            state = read_state(path)
            found = SavedPoint(
                path, int(state["global_step"]), int(state["callbacks"][Checkpoints.__qualname__]["rows"])
            )
        except (DamagedError, OSError, ValueError, KeyError, TypeError) as error:
            notify(f"{path}: is damaged and passed over ({error})")
            CheckpointFolder().remove_checkpoint(path)
            continue
        if found.rows <= rows:
            return found
    return None


class Checkpoints(Checkpoint):
    """Writes a checkpoint after so many seconds or steps, and keeps the last two.

    A checkpoint stands between two optimizer steps, never amid the batches of one; after a validation where the step
    has one. None is written once the training is to stop: what decided that is in no checkpoint.

    Args:
        folder: of the checkpoints.
        seconds: between two; None: the time has no part in it. They never take more than a fiftieth of the time.
        steps: optimizer steps between two; None: steps have no part in it.
        rows: gives how many rows of steps.jsonl are written.
    """

    def __init__(self, folder: Path, *, seconds: float | None, steps: int | None, rows: Callable[[], int]) -> None:
        self.folder, self.seconds, self.steps, self.rows = folder, seconds, steps, rows
        self._last_time, self._last_step, self._pause = time.monotonic(), 0, 0.0
        self._is_due = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here the time counts."""
        self._last_time, self._last_step = time.monotonic(), trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes one where it is time, unless a validation comes first."""
        is_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch
        self._is_due = is_step and self._is_time(trainer.global_step)
        batches = trainer.fit_loop.total_batch_idx + 1
        if self._is_due and batches % int(trainer.val_check_batch or 1) != 0:
            self._write(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the one that was due before the validation."""
        if self._is_due:
            self._write(trainer)

    def state_dict(self) -> dict[str, Any]:
        """How many rows belong to the checkpoint; callbacks that write rows come before this one."""
        return {"rows": self.rows()}

    def _is_time(self, step: int) -> bool:
        if self.steps is not None and step >= self._last_step + self.steps:
            return True
        waited = time.monotonic() - self._last_time
        return self.seconds is not None and waited >= max(self.seconds, self._pause)

    def _write(self, trainer: pl.Trainer) -> None:
        self._is_due = False
        if trainer.should_stop:
            return
        started = time.monotonic()
        trainer.save_checkpoint(checkpoint_path(self.folder, trainer.global_step))
        for path in checkpoints_in(self.folder)[KEPT:]:
            CheckpointFolder().remove_checkpoint(path)
        took = time.monotonic() - started
        self._last_time, self._last_step, self._pause = time.monotonic(), trainer.global_step, took / MOST_OF_THE_TIME
