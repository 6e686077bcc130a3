"""Computes what fixed layers give, once for each text, and keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from hft.models.packed import PackedTexts
from hft.models.towers import TextTower
from hft.stores import StoreFolder, digest
from hft.training.activations.cut import Cut
from hft.training.activations.segment import SegmentWriter
from hft.training.activations.store import KIND, SUFFIX, ActivationStore
from hft.training.evaluation import inference
from hft.training.sessions import IntArray
from hft.training.token_store import TokenStore

__all__ = ["TextRows", "kept_dtype", "publish"]

# Texts whose tokens are held at once.
_TEXTS_AT_ONCE = 8192


@dataclass(frozen=True)
class TextRows:
    """Some texts of a token store.

    Args:
        store: of the texts, with keys.
        rows: int64[texts], distinct.
    """

    store: TokenStore
    rows: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def key(self) -> str:
        """Hexadecimal digits that tell which texts these are."""
        assert self.store.keys is not None
        return digest(self.store.keys[self.rows].tobytes())

    @property
    def tokens(self) -> int:
        """Of all the texts, without padding."""
        return int(self.store.lengths[self.rows].sum())

    def without(self, kept: ActivationStore) -> TextRows:
        """Those that a store has not."""
        parts = [self.rows[at : at + _TEXTS_AT_ONCE] for at in range(0, len(self.rows), _TEXTS_AT_ONCE)]
        missing = [part[~kept.has(self.store.rows(part))] for part in parts]
        return TextRows(self.store, np.concatenate([np.zeros(0, dtype=np.int64), *missing]))


def kept_dtype(cut: Cut, precision: str) -> torch.dtype:
    """In which type numbers are kept: pooled vectors in float32, all else in the run's precision."""
    return torch.bfloat16 if precision.startswith("bf16") and not cut.is_pooled else torch.float32


def publish(
    tower: TextTower,
    texts: TextRows,
    cut: Cut,
    folder: StoreFolder,
    key: str,
    *,
    precision: str,
    earlier: ActivationStore | None = None,
    progress: Callable[[int], object] | None = None,
) -> None:
    """Adds a segment with what the layers give for some texts.

    Memory is bounded by a chunk of the tower's budget. A caller outside the block of ActivationStore.computing
    may do what another process does at the same time: both write the same file then, and one of the two stays.

    Args:
        tower: whose layers; its modes are put back.
        texts: that the entry has not, one or more.
        cut: of the tower.
        folder, key: of the entry.
        precision: Lightning's word.
        earlier: what fewer layers give for some of the texts; they go on from there.
        progress: takes how many more texts are done.

    Raises:
        StorageError: the system refused to write. Nothing half-written stays.
    """
    parts = list(_chunks(tower, _each_key_once(texts)))
    ordered = np.concatenate(parts)
    keys = texts.store.keys
    assert keys is not None
    lengths = np.ones(len(ordered), dtype=np.int64) if cut.is_pooled else texts.store.lengths[ordered]
    name = digest(keys[ordered].tobytes())
    with folder.publish_file(KIND, key, SUFFIX, name) as path, inference(tower, precision):
        blocks = (_within_memory(tower, texts.store.rows(rows), cut, earlier) for rows in parts)
        first = next(blocks)
        dtype = kept_dtype(cut, precision)
        with SegmentWriter(path, keys[ordered], lengths, first.shape[1], dtype, first.dtype) as writer:
            for rows, block in zip(parts, chain([first], blocks), strict=True):
                writer.write(block)
                if progress is not None:
                    progress(len(rows))


def _each_key_once(texts: TextRows) -> TextRows:
    assert texts.store.keys is not None
    _, first = np.unique(texts.store.keys[texts.rows], axis=0, return_index=True)
    return TextRows(texts.store, texts.rows[np.sort(first)])


def _chunks(tower: TextTower, texts: TextRows) -> Iterator[IntArray]:
    """The rows of each chunk, of one bucket, shorter texts first."""
    for chunk in tower.buckets.chunks(texts.store.lengths[texts.rows], tower.budget.token_budget):
        yield texts.rows[chunk.rows]


def _within_memory(tower: TextTower, tokens: PackedTexts, cut: Cut, earlier: ActivationStore | None) -> Tensor:
    """As `_computed`, in smaller parts where the budget has been halved since the chunk was cut."""
    length = int(tower.buckets.padded(tokens.lengths).max())

    def compute() -> Tensor:
        texts = max(1, tower.budget.token_budget // length)
        starts = range(0, len(tokens), texts)
        parts = [tokens.take(np.arange(start, min(start + texts, len(tokens)))) for start in starts]
        return torch.cat([_computed(tower, part, cut, earlier) for part in parts])

    return tower.budget.within_memory(compute)


def _computed(tower: TextTower, tokens: PackedTexts, cut: Cut, earlier: ActivationStore | None) -> Tensor:
    """[rows, width] of texts of one bucket: a row a token, or one a text where they are pooled."""
    length = int(tower.buckets.padded(tokens.lengths).max())
    arrays = tokens.padded(np.arange(len(tokens)), length, tower.pad_id)
    ids, mask = (torch.from_numpy(array).to(tower.device) for array in arrays)
    start = None if earlier is None else earlier.hidden(tokens, length, tower.device)
    if start is None or earlier is None:
        hidden = tower.compute.up_to(ids, mask, cut.layers)
    else:
        hidden = tower.compute.between(start, ids, mask, earlier.cut, cut.layers)
    return tower.pool(hidden, mask) if cut.is_pooled else hidden[mask]
