"""Vectors of whole sets of texts, as a model that no step has changed yet gave them: kept for the next run that asks.

What is read is what computing the same set again would give, to the last bit, in any precision: the key names the whole
set, since in bf16 a text's numbers depend on those that are computed beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hft.errors import StorageError
from hft.models import TextTower
from hft.models.fingerprint import weights_fingerprint
from hft.settings import ComputeSettings
from hft.stores import StoreFolder, digest
from hft.training.hardware import rounding_of

__all__ = ["KeptVectors", "is_told_by_weights", "vectors_kept"]

KIND = "vectors"
NAME = "vectors.npy"

Keys = npt.NDArray[np.uint64]

# Packages whose modules compute from their weights, their settings and their input alone.
_KNOWN = ("torch.", "transformers.", "hft.")


class KeptVectors:
    """Vectors in a store, of one model on one machine.

    A set is read whole or not at all. Of one that is kept in part, because it has a text more, a text fewer or another
    order than the sets in the store, nothing is read: all of it is computed and kept beside them, as a set of its own.

    Args:
        folder: of the stores.
        model: a TextEmbeddingModel on the device to compute on; its weights may not change while this is used.
        precision: Lightning's word.
        compute: how it computes.
    """

    def __init__(self, folder: StoreFolder, model: Any, precision: str, compute: ComputeSettings) -> None:
        self.folder = folder
        settings = json.dumps([precision, compute.model_dump(), model.budget.token_budget, *rounding_of(model.device)])
        weights = weights_fingerprint(model)
        self._keys = {
            side: _key(model.tower(side), weights, settings, model.prompt_tokens(side)) for side in ("query", "items")
        }

    def read(self, side: Literal["query", "items"], texts: Keys | None) -> Tensor | None:
        """float32[texts, dim] of texts in this order; None where that set is not kept.

        Args:
            side: whose tower embeds them.
            texts: uint64[texts, 2], keys; None: nobody can tell.
        """
        entry = self._entry(side, texts)
        if entry is None or texts is None:
            return None
        folder = self.folder.published(KIND, entry)
        if folder is None:
            return None
        try:
            return torch.from_numpy(np.load(folder / NAME, allow_pickle=False))
        except OSError as error:
            self.folder.drop(folder, f"holds no vectors that can be read ({error})")
            return None

    def write(self, side: Literal["query", "items"], texts: Keys | None, vectors: Tensor) -> None:
        """Keeps the vectors where there is room; what goes wrong is said and harms nothing."""
        entry = self._entry(side, texts)
        if entry is None or not self.folder.make_room(vectors.numel() * 4 + 512):
            return
        try:
            with self.folder.publish(KIND, entry) as path:
                np.save(path / NAME, vectors.float().cpu().numpy())
        except StorageError as error:
            self.folder.say(str(error))

    def computing(self, side: Literal["query", "items"], texts: Keys | None) -> AbstractContextManager[None]:
        """A block to read again, compute and write in, as StoreFolder.computing has it."""
        entry = self._entry(side, texts)
        return nullcontext() if entry is None else self.folder.computing(KIND, entry)

    def _entry(self, side: Literal["query", "items"], texts: Keys | None) -> str | None:
        key = self._keys[side]
        return None if key is None or texts is None else digest(key, np.ascontiguousarray(texts).tobytes())


# Where evaluation looks for vectors, and leaves them.
_kept: ContextVar[KeptVectors | None] = ContextVar("hft_kept_vectors", default=None)


@contextmanager
def vectors_kept(kept: KeptVectors | None) -> Iterator[None]:
    """Inside the block `embed_rows` reads vectors there, and keeps what it computes; None changes nothing."""
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)


def kept_vectors() -> KeptVectors | None:
    """What the innermost block of `vectors_kept` names."""
    return _kept.get()


def is_told_by_weights(model: nn.Module) -> bool:
    """Whether weights and settings decide what a model computes: nobody's own module or hook has a part in it."""
    return all(
        type(module).__module__.startswith(_KNOWN) and not module._forward_hooks and not module._forward_pre_hooks
        for module in model.modules()
    )


def _key(tower: TextTower, weights: str, settings: str, prompt_tokens: int) -> str | None:
    tokens = tower.tokenizer_key
    if tokens is None:
        return None
    shape = [type(tower.encoder).__qualname__, tower.compute.name, prompt_tokens, repr(tower)]
    lengths = [tower.buckets.padded_lengths, tower.pad_id]
    read = None if tower.activations is None else tower.activations.cut
    config = json.dumps(tower.config.to_dict(), sort_keys=True, default=str)
    return digest(weights, config, tokens, json.dumps([shape, lengths, read]), settings)
