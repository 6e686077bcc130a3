"""Sessions as flat arrays: what the training room needs of the clickstream, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
# (events float32[results], offsets int64[sessions + 1]) -> float32[results] in (0, 1].
Confidence = Callable[[FloatArray, IntArray], FloatArray]


def is_among(codes: IntArray, known: IntArray) -> BoolArray:
    """bool, of the shape of the codes: whether each is among the sorted known ones.

    It looks at few of these: a step takes no longer where there are many.
    """
    if len(known) == 0:
        return np.zeros(codes.shape, dtype=np.bool_)
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.asarray(known[place] == codes, dtype=np.bool_)


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
        query_rows: int64[sessions] or int32, row of the session's query among the query texts.
        query_keys: int64[sessions] or int32, equal for queries that are near-duplicates of each other.
        offsets: int64[sessions + 1], where each session's results start.
        item_rows: int64[results] or int32, row of each shown item among the item texts, in shown order.
        item_keys: int64[all items], equal for items that are near-duplicates of each other.
        events: float32[results], weight of the events on each result; 0 is none.
        confidences: float32[results], in (0, 1], or what gives them to sessions, each looked at alone.
        is_irrelevant: bool[sessions].
        session_weights: float32[sessions] in (0, 1], which multiply the confidences of a session; None: 1.
        weights: float32[results], what a click is worth as a positive beside others; 0: nothing. None: all the same.
        event_unit: the weight of events that counts 1: a positive is worth its event's over it, times its own of
            `weights`. None: events count the same whatever they weigh.
        believed: bool[results], clicks that are more likely true than not; None: all are.
        may_be_negative: bool[results], results whose lack of a believed click tells something; None: all are.
    """

    query_rows: npt.NDArray[np.integer]
    query_keys: npt.NDArray[np.integer]
    offsets: IntArray
    item_rows: npt.NDArray[np.integer]
    item_keys: IntArray
    events: FloatArray
    confidences: FloatArray | Confidence
    is_irrelevant: BoolArray
    session_weights: FloatArray | None = None
    weights: FloatArray | None = None
    believed: BoolArray | None = None
    may_be_negative: BoolArray | None = None
    event_unit: float | None = None

    def __len__(self) -> int:
        return len(self.query_rows)

    def known_positives(self) -> IntArray:
        """Sorted codes of every (query key, item key) with a believed event in these sessions, int64[positives].

        An item picked for a query in one session is no negative for it in another one.
        """
        picked, owners = self.events_of_sessions()
        counts = ~self.is_irrelevant[owners]
        if self.believed is not None:
            counts &= self.believed[picked]
        return np.unique(self.pair_code(self.query_keys[owners[counts]], self.item_rows[picked[counts]]))

    def events_of_sessions(self) -> tuple[IntArray, IntArray]:
        """(int64[events] positions in the flat arrays of the results with an event, int64[events] their sessions)."""
        picked = np.flatnonzero(self.events > 0)
        return picked, np.searchsorted(self.offsets, picked, side="right") - 1

    def confidences_of(self, rows: IntArray, flat: IntArray) -> FloatArray:
        """float32[entries]: confidences of the results of some sessions, times the weights of the sessions.

        Args:
            rows: int64[rows], the sessions.
            flat: int64[entries], positions of their results, as `flat_rows` gives them.
        """
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        if callable(self.confidences):
            found = self.confidences(self.events[flat], np.concatenate(([0], np.cumsum(lengths))))
        else:
            found = self.confidences[flat]
        return found if self.session_weights is None else found * np.repeat(self.session_weights[rows], lengths)

    def weights_of(self, flat: IntArray) -> FloatArray | None:
        """float32[entries]: what results are worth as positives beside others; None: all the same.

        Args:
            flat: int64[entries], positions of the results, as `flat_rows` gives them.
        """
        own = None if self.weights is None else self.weights[flat]
        if self.event_unit is None:
            return own
        of_events = self.events[flat] / np.float32(self.event_unit)
        return of_events if own is None else of_events * own

    def pair_code(self, query_keys: npt.NDArray[np.integer], item_rows: npt.NDArray[np.integer]) -> IntArray:
        """One number for each (query key, item), the same for items of one key. Broadcasts."""
        codes: IntArray = query_keys.astype(np.int64) * len(self.item_keys) + self.item_keys[item_rows]
        return codes
