"""Checkpoints on disk: whole or not at all, and nothing in them but tensors and plain values."""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from hft.files import atomic_write

PathLike = str | os.PathLike[str]


class CheckpointFile(TorchCheckpointIO):
    """How Lightning's Trainer writes and reads checkpoints under hft.

    Lightning alone lets a checkpoint pass through the system's temporary folder, from where it is copied when that
    is another disk: a full disk then leaves half a file behind.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: PathLike, storage_options: Any = None) -> None:
        """Writes the checkpoint; one that stands there is replaced.

        Raises:
            StorageError: the file cannot be written. What stood there before stands there still.
        """
        with atomic_write(path, "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch wraps what the system said (a full disk) into words of its own.
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    def load_checkpoint(
        self, path: PathLike, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint. Code in it is never run, whatever `weights_only` says."""
        found: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return found
