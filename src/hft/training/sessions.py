"""Sessions as flat arrays: what the training room needs of the clickstream, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def flat_rows(rows: IntArray, offsets: IntArray) -> tuple[IntArray, IntArray]:
    """Positions in a flat array of the entries of some ragged rows.

    Args:
        rows: int64[rows], the ragged rows wanted, in the order wanted.
        offsets: int64[all rows + 1], where each row starts in the flat array.

    Returns:
        (positions, owners): int64[entries] each; owners holds the index into `rows` of every entry.
    """
    lengths = offsets[rows + 1] - offsets[rows]
    owners = np.repeat(np.arange(len(rows)), lengths)
    starts = np.repeat(offsets[rows] - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    return starts + np.arange(int(lengths.sum())), owners


@dataclass(frozen=True)
class SessionArrays:
    """The sessions of one split.

    Args:
        query_rows: int64[sessions], row of the session's query among the query texts.
        query_keys: int64[sessions], equal for queries that are near-duplicates of each other.
        offsets: int64[sessions + 1], where each session's results start.
        item_rows: int64[results], row of each shown item among the item texts, in shown order.
        item_keys: int64[all items], equal for items that are near-duplicates of each other.
        events: float32[results], weight of the events on each result; 0 is none.
        confidences: float32[results], in (0, 1].
        is_irrelevant: bool[sessions].
    """

    query_rows: IntArray
    query_keys: IntArray
    offsets: IntArray
    item_rows: IntArray
    item_keys: IntArray
    events: FloatArray
    confidences: FloatArray
    is_irrelevant: BoolArray

    def __len__(self) -> int:
        return len(self.query_rows)

    def known_positives(self) -> IntArray:
        """Sorted codes of every (query key, item key) with an event in these sessions, int64[positives].

        An item picked for a query in one session is no negative for it in another one.
        """
        owners = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        picked = (self.events > 0) & ~self.is_irrelevant[owners]
        return np.unique(self.pair_code(self.query_keys[owners[picked]], self.item_rows[picked]))

    def pair_code(self, query_keys: IntArray, item_rows: IntArray) -> IntArray:
        """One number for each (query key, item), the same for items of one key. Broadcasts."""
        return query_keys * np.int64(len(self.item_keys)) + self.item_keys[item_rows]
