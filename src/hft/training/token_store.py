"""Every distinct text tokenised once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hft.models.packed import PackedTexts
from hft.training.sessions import IntArray

Tokens = npt.NDArray[np.int32]


class TokenStore:
    """The tokens of a list of texts, flat in memory, read without copying.

    Args:
        flat: int32[tokens], the tokens of all texts, one after the other.
        offsets: int64[texts + 1], where each text starts.
    """

    def __init__(self, flat: Tokens, offsets: IntArray) -> None:
        self.flat = flat
        self.offsets = offsets

    @classmethod
    def build(cls, texts: Sequence[str], tokenize: Callable[[Sequence[str]], list[Tokens]]) -> TokenStore:
        """Tokenise texts; equal texts are tokenised once.

        Args:
            texts: one a row.
            tokenize: texts -> int32[tokens] each, special tokens included.
        """
        place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        distinct = tokenize(list(place)) if place else []
        tokens = [distinct[place[text]] for text in texts]
        lengths = np.array([len(text) for text in tokens], dtype=np.int64)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths)))
        flat = np.concatenate([np.zeros(0, dtype=np.int32), *tokens])
        return cls(flat.astype(np.int32, copy=False), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, rows: IntArray) -> PackedTexts:
        """Tokens of the given rows."""
        return PackedTexts(self.flat, self.offsets).take(rows)

    @property
    def lengths(self) -> IntArray:
        """int64[texts], tokens of each text."""
        return np.diff(self.offsets)
