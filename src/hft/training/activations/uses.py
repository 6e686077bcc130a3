"""How often a run embeds which texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hft.training.activations.building import TextRows
from hft.training.sessions import IntArray
from hft.training.token_store import TokenStore

__all__ = ["TextUse"]


@dataclass(frozen=True)
class TextUse:
    """The texts of one side that a run embeds.

    Args:
        side: whose tower embeds them.
        store: their tokens.
        trained: int64[visits], rows embedded in an epoch, as often as they are.
        validated, tested: int64[texts], rows embedded in a validation and in a look at test.
    """

    side: Literal["query", "items"]
    store: TokenStore
    trained: IntArray
    validated: IntArray
    tested: IntArray

    @property
    def texts(self) -> TextRows:
        """Each of them once."""
        return TextRows(self.store, np.unique(np.concatenate((self.trained, self.validated, self.tested))))

    def tokens(self, rows: IntArray) -> int:
        """Tokens of some rows, without padding."""
        return int(self.store.lengths[rows].sum())
