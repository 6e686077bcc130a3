"""Tokenised texts, flat: what an encoder gets and a token store holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PackedTexts"]


@dataclass(frozen=True)
class PackedTexts:
    """Texts as tokens, one after the other.

    Args:
        flat: int32[tokens], the tokens of all texts.
        offsets: int64[texts + 1], where each text starts.
        keys: uint64[texts, 2], what each text is known by in the stores (hft.stores.text_keys); None: by nothing.
    """

    flat: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64] | None = None

    @classmethod
    def of(cls, texts: Sequence[npt.NDArray[Any]]) -> PackedTexts:
        """From int[tokens] a text."""
        lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
        flat = np.concatenate([np.zeros(0, dtype=np.int32), *texts]).astype(np.int32, copy=False)
        return cls(flat, np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths))))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[npt.NDArray[np.int32]]:
        """int32[tokens] of each text, as a view."""
        return iter(np.split(self.flat, self.offsets[1:-1])) if len(self) else iter(())

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64[texts], tokens of each text."""
        return np.diff(self.offsets)

    def take(self, rows: npt.NDArray[np.int64]) -> PackedTexts:
        """The texts of the given int64[rows], in their order."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths)))
        places = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return PackedTexts(self.flat[places], offsets, None if self.keys is None else self.keys[rows])

    def padded(
        self, rows: npt.NDArray[np.int64], length: int, pad_id: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Some texts padded on the right.

        Args:
            rows: int64[texts wanted].
            length: tokens to pad to; none of them is longer.
            pad_id: the token to pad with.

        Returns:
            int64[texts wanted, length] token ids and bool[texts wanted, length], true for a token.
        """
        chosen = self.take(rows)
        mask = np.arange(length) < chosen.lengths[:, None]
        ids = np.full(mask.shape, pad_id, dtype=np.int64)
        ids[mask] = chosen.flat
        return ids, mask
