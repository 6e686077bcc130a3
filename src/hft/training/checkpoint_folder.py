"""Checkpoints on disk: whole or not at all, and nothing in them but tensors and plain values.

A checkpoint is a folder: `tensors.safetensors`, `state.json` (the rest of Lightning's dictionary, which refers to the
tensors by name) and `checksums.json`. No code is in it, so that none can be run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors.torch import load_file, save_file

from hft.checksums import CHECKSUMS_NAME, check_folder, write_checksums
from hft.errors import DamagedError, TrainingError
from hft.files import atomic_folder

__all__ = ["CheckpointFolder", "checkpoints_in", "read_state"]

TENSORS, STATE = "tensors.safetensors", "state.json"

_PREFIX = "step-"
_REMEDY = "An earlier checkpoint will do as well."

PathLike = str | os.PathLike[str]


class CheckpointFolder(CheckpointIO):
    """How Lightning's Trainer writes and reads checkpoints under hft."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: PathLike, storage_options: Any = None) -> None:
        """Writes the checkpoint; one that stands there is replaced.

        The disk is not waited for: what a power cut takes fails its checksum, and an earlier checkpoint is used.

        Raises:
            StorageError: it cannot be written. What stood there before stands there still.
            TrainingError: it holds something else than tensors and plain values.
        """
        tensors: dict[str, torch.Tensor] = {}
        state = _encoded(checkpoint, tensors, {}, "")
        with atomic_folder(path, durable=False) as folder:
            save_file(tensors, folder / TENSORS)
            (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
            write_checksums(folder)

    def load_checkpoint(
        self, path: PathLike, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint, its tensors on the CPU.

        Raises:
            DamagedError: it is not what was written.
        """
        state = read_state(path)
        found: dict[str, Any] = _with_tensors(state, load_file(Path(path) / TENSORS))
        return found

    def remove_checkpoint(self, path: PathLike) -> None:
        """Removes a checkpoint; one that is gone is passed over."""
        shutil.rmtree(path, ignore_errors=True)


def checkpoints_in(folder: Path) -> list[Path]:
    """Paths of the checkpoints in a folder, the latest first, whole or damaged."""
    found = [path for path in folder.glob(f"{_PREFIX}*") if path.name.removeprefix(_PREFIX).isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(_PREFIX)), reverse=True)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of an optimizer step stands."""
    return folder / f"{_PREFIX}{step:08d}"


def read_state(path: PathLike) -> dict[str, Any]:
    """What a checkpoint holds beside its tensors, which stand there by name, once all of it was compared with its
    checksums.

    Raises:
        DamagedError: it is not what was written.
    """
    folder = Path(path)
    if not (folder / CHECKSUMS_NAME).is_file():
        raise DamagedError(f"{folder}: is damaged: it has no {CHECKSUMS_NAME}. {_REMEDY}")
    check_folder(folder, _REMEDY)
    found: dict[str, Any] = _decoded(json.loads((folder / STATE).read_text(encoding="utf-8")))
    return found


class _Tensor(str):
    """The name of a tensor."""


def _encoded(value: Any, tensors: dict[str, torch.Tensor], names: dict[tuple[Any, ...], str], where: str) -> Any:
    """A value as JSON can hold it: a mapping as `{"of": pairs}`, `{"tuple": [...]}`, `{"tensor": name}`, or itself."""
    if isinstance(value, torch.Tensor):
        return {"tensor": _named(value, tensors, names)}
    if isinstance(value, Mapping):
        pairs = [(key, _encoded(item, tensors, names, f"{where}.{key}")) for key, item in value.items()]
        if all(isinstance(key, str | int | float | bool) for key in value):
            return {"of": pairs}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(item, tensors, names, where) for item in value]}
    if isinstance(value, list):
        return [_encoded(item, tensors, names, where) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TrainingError(
        f"A checkpoint holds tensors and plain values; {where.lstrip('.')} is a {type(value).__name__}. Change the "
        "state_dict of the class that gives it, or train without checkpoints: +trainer.enable_checkpointing=false."
    )


def _named(value: torch.Tensor, tensors: dict[str, torch.Tensor], names: dict[tuple[Any, ...], str]) -> str:
    """The name of a tensor; the same one for tensors that are one in memory (tied weights)."""
    key = (value.data_ptr(), tuple(value.shape), value.stride(), value.dtype, str(value.device))
    if value.numel() and key in names:
        return names[key]
    name = names[key] = f"{len(tensors)}"
    own = value.detach().cpu().contiguous()
    whole = own.untyped_storage().nbytes() == own.numel() * own.element_size()
    tensors[name] = own if whole else own.clone()
    return name


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return _Tensor(content)
    if kind == "tuple":
        return tuple(map(_decoded, content))
    return {key: _decoded(item) for key, item in content}


def _with_tensors(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, _Tensor):
        return tensors[value]
    if isinstance(value, dict):
        return {key: _with_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_tensors(item, tensors) for item in value)
    return value
