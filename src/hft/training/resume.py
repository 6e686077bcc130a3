"""What a checkpoint must hold so that a run can go on from the middle of an epoch and end bit by bit the same."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from hft.training.batching import EpochSampler


class ResumePoint(pl.Callback):
    """Puts the place in the epoch and the state of the random generators into every checkpoint.

    Lightning alone starts the epoch's data from its beginning again. The order of an epoch depends on the seed
    and the epoch's number, so the place in it is one number.

    Args:
        sampler: of the training loader.
    """

    def __init__(self, sampler: EpochSampler) -> None:
        self.sampler = sampler
        self._batches_done = 0
        self._epoch = 0
        self._restored: dict[str, Any] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts the batches of the epoch."""
        self._batches_done, self._epoch = batch_idx + 1, trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The next epoch starts from its first batch."""
        self._batches_done = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After a resume: the random generators as they were at the checkpoint."""
        if self._restored is not None:
            _set_random_state(self._restored)
            self._restored = None

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint; plain values and tensors only."""
        return {"epoch": self._epoch, "batches_done": self._batches_done, "random": _random_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self._batches_done = state_dict["batches_done"]
        self.sampler.start_at = (state_dict["epoch"], self._batches_done)
        self._restored = state_dict["random"]


def _random_state() -> dict[str, Any]:
    name, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, gauss],
        "python": [version, list(internal), gauss_next],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([value.cpu() for value in state["cuda"]])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
