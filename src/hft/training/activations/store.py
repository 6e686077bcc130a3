"""What the fixed layers of one tower give, kept on disk and found by the keys of texts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hft.models.packed import PackedTexts
from hft.stores import StoreFolder
from hft.training.activations.segment import Segment, open_segment

__all__ = ["KIND", "SUFFIX", "ActivationStore"]

# Of the entries in a store folder, and of the files in an entry.
KIND = "activations"
SUFFIX = ".layers"

Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


class _Found(NamedTuple):
    segment: Ints
    start: Ints
    length: Ints


class ActivationStore:
    """Reads the segments of one entry. As `TextTower.activations`, it stands for the first layers.

    Args:
        segments: of one tower, cut and precision.
        cut: after so many layers; of pooled vectors all of them.
        is_pooled: whether a text has one row, its pooled vector.
    """

    def __init__(self, segments: Sequence[Segment], cut: int, *, is_pooled: bool = False) -> None:
        self.cut = cut
        self.is_pooled = is_pooled
        self.dtype = segments[0].dtype if segments else torch.float32
        self.values = [segment.values for segment in segments]
        keys = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *(segment.keys for segment in segments)])
        order = np.argsort(keys[:, 0], kind="stable")
        sizes = [len(segment.keys) for segment in segments]
        starts = [segment.offsets[:-1] for segment in segments]
        lengths = [np.diff(segment.offsets) for segment in segments]
        nothing = np.zeros(0, dtype=np.int64)
        self._first, self._second = keys[order, 0], keys[order, 1]
        self._segment = np.repeat(np.arange(len(sizes)), sizes)[order]
        self._start = np.concatenate([nothing, *starts])[order]
        self._length = np.concatenate([nothing, *lengths])[order]

    @classmethod
    def read(cls, folder: StoreFolder, key: str, cut: int, *, is_pooled: bool = False) -> ActivationStore:
        """The store of an entry, with all its whole segments; one that is cut is dropped with a line."""
        segments = []
        paths = folder.files(KIND, key, SUFFIX)
        for path in paths:
            try:
                segments.append(open_segment(path))
            except FileNotFoundError:  # dropped by another process meanwhile
                continue
            except (OSError, ValueError) as error:
                folder.drop(path, f"is no whole segment of what layers give ({error})")
        if segments:
            folder.touch(folder.entry(KIND, key))
        return cls(segments, cut, is_pooled=is_pooled)

    @staticmethod
    def computing(folder: StoreFolder, key: str, texts: str) -> AbstractContextManager[None]:
        """A block to read again and publish in, as StoreFolder.computing has it; `texts` tells which, as a digest."""
        return folder.computing(KIND, key, texts)

    def __len__(self) -> int:
        return len(self._first)

    def has(self, tokens: PackedTexts) -> npt.NDArray[np.bool_]:
        """bool[texts]: which of the texts are there."""
        return self._find(tokens)[1]

    def hidden(self, tokens: PackedTexts, length: int, device: torch.device) -> Tensor | None:
        """See hft.models.kept. Past a text's end stand the numbers of its last token."""
        if self.is_pooled:
            return None
        found, is_there = self._find(tokens)
        if not is_there.all():
            return None
        places = found.start[:, None] + np.minimum(np.arange(length), found.length[:, None] - 1)
        return self._rows(found.segment, places, device).view(len(tokens), length, -1)

    def pooled(self, tokens: PackedTexts, device: torch.device) -> Tensor | None:
        """See hft.models.kept."""
        if not self.is_pooled:
            return None
        found, is_there = self._find(tokens)
        return self._rows(found.segment, found.start[:, None], device) if is_there.all() else None

    def _find(self, tokens: PackedTexts) -> tuple[_Found, npt.NDArray[np.bool_]]:
        """Where each text is, and whether it is anywhere."""
        keys = tokens.keys
        if keys is None or not len(self):
            nowhere = np.zeros(len(tokens), dtype=np.int64)
            return _Found(nowhere, nowhere, nowhere), np.zeros(len(tokens), dtype=bool)
        # Two texts whose keys have one half in common: the second is not found, and computed.
        place = np.searchsorted(self._first, keys[:, 0]).clip(max=len(self) - 1)
        found = _Found(self._segment[place], self._start[place], self._length[place])
        is_there = (self._first[place] == keys[:, 0]) & (self._second[place] == keys[:, 1])
        rows = 1 if self.is_pooled else tokens.lengths
        return found, is_there & (found.length == rows)

    def _rows(self, segment: Ints, places: Ints, device: torch.device) -> Tensor:
        """[texts * rows, width] for int64[texts, rows] places in the segments of int64[texts]."""
        numbers = np.unique(segment).tolist()
        if len(numbers) == 1:
            rows: Tensor = self.values[numbers[0]].index_select(0, torch.from_numpy(places.reshape(-1)))
        else:
            width = self.values[0].shape[1]
            parts = torch.empty(*places.shape, width, dtype=self.values[0].dtype)
            for number in numbers:
                here = np.flatnonzero(segment == number)
                values = self.values[number].index_select(0, torch.from_numpy(places[here].reshape(-1)))
                parts[torch.from_numpy(here)] = values.view(len(here), places.shape[1], width)
            rows = parts.view(-1, width)
        return rows.to(device, self.dtype)
