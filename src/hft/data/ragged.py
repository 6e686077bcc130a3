"""Growing ragged columns: lists of lists kept flat while lines are read."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RaggedPairs:
    """Lists of (item row, weight), one list a session, without a Python object for each."""

    def __init__(self) -> None:
        self._lengths = array("q")
        self._rows = array("i")
        self._weights = array("f")

    def append(self, rows: Iterable[int], weights: Iterable[float]) -> None:
        """Add a session's list; both of equal length."""
        before = len(self._rows)
        self._rows.extend(rows)
        self._weights.extend(weights)
        self._lengths.append(len(self._rows) - before)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """`int64[sessions+1]`."""
        lengths = np.array(self._lengths, dtype=np.int64)
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    @property
    def rows(self) -> NDArray[np.int32]:
        """`int32[entries]`."""
        return np.array(self._rows, dtype=np.int32)

    @property
    def weights(self) -> NDArray[np.float32]:
        """`float32[entries]`."""
        return np.array(self._weights, dtype=np.float32)
