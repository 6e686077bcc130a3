"""Clicks on shown lists as flat arrays: what a click model is fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs

# Positions up to this one count each by itself; further down they share a class, eight classes to a doubling. So a
# list of 10,000 results has some hundred classes, each with enough clicks to tell something.
_EXACT_POSITIONS = 32
_CLASSES_A_DOUBLING = 8


@dataclass(frozen=True)
class ClickLog:
    """Shown lists and the clicks on them.

    Args:
        clicks: `bool[results]`, session after session, in the order shown.
        offsets: `int64[sessions+1]` into the results.
        queries: `int[sessions]`, equal for sessions of one query.
        items: `int[results]` rows of the items shown.
        num_items: exclusive upper bound of `items`.
        batch_ids: the batch of each session; None where there are none.
        shown_at: `int32[results]`: the position at which each was shown, from 0 at the top, ascending within a session;
            None: lists are as they were shown.
    """

    clicks: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    queries: NDArray[np.integer]
    items: NDArray[np.integer]
    num_items: int
    batch_ids: tuple[str | None, ...] | None = None
    shown_at: NDArray[np.int32] | None = None

    @classmethod
    def of(cls, inputs: FineTuningInputs, query_keys: NDArray[np.integer] | None = None) -> ClickLog:
        """The clicks of sessions; any event above 0 is one.

        Args:
            inputs: the sessions.
            query_keys: `int[sessions]`, equal for queries that count as one; None: for those of the same text.
        """
        keys = inputs.coded_queries.codes if query_keys is None else query_keys
        batches = inputs.table.column("batch_id")
        return cls(
            inputs.flat_events > 0,
            inputs.offsets,
            keys,
            inputs.flat_results,
            len(inputs.items),
            None if batches.null_count == len(batches) else tuple(batches.to_pylist()),
            inputs.flat_positions if inputs.is_cut else None,
        )

    def __len__(self) -> int:
        """Number of sessions."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """`int64[sessions]`: results of each session."""
        return np.diff(self.offsets)

    @property
    def positions(self) -> NDArray[np.int32]:
        """`int32[results]`: where each was shown, from 0 at the top."""
        return self.places if self.shown_at is None else self.shown_at

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """`int32[results]`: which of the session's results each is, from 0; its position where nothing was cut."""
        places = np.arange(len(self.clicks), dtype=np.int32)
        places -= np.repeat(self.offsets[:-1].astype(np.int32), self.lengths)
        return places

    @cached_property
    def sessions(self) -> NDArray[np.int32]:
        """`int32[results]`: the session of each result."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """`int64[results]`: one number for each (query, item)."""
        found = np.repeat(self.queries.astype(np.int64) * self.num_items, self.lengths)
        found += self.items
        return found

    @cached_property
    def last_clicks(self) -> NDArray[np.int32]:
        """`int32[results]`: position of the last click above each result, -1 where there is none."""
        place = np.where(self.clicks, np.arange(len(self.clicks), dtype=np.int32), np.int32(-1))
        latest = np.maximum.accumulate(place)
        before = np.concatenate([[np.int32(-1)], latest[:-1]]) if len(latest) else latest
        starts = np.repeat(self.offsets[:-1].astype(np.int32), self.lengths)
        return np.where(before >= starts, self.positions[np.maximum(before, 0)], np.int32(-1)).astype(np.int32)

    def followed_by(self, other: ClickLog) -> ClickLog:
        """These sessions and then another log's, over the same items and queries."""
        if len(other) == 0:
            return self
        batches, shown_at = None, None
        if self.batch_ids is not None or other.batch_ids is not None:
            batches = tuple(batch for log in (self, other) for batch in log.batch_ids or (None,) * len(log))
        if self.shown_at is not None or other.shown_at is not None:
            shown_at = np.concatenate([self.positions, other.positions])
        return ClickLog(
            np.concatenate([self.clicks, other.clicks]),
            np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            np.concatenate([self.queries, other.queries]),
            np.concatenate([self.items, other.items]),
            self.num_items,
            batches,
            shown_at,
        )

    def select(self, chosen: NDArray[np.bool_]) -> ClickLog:
        """The sessions where a `bool[sessions]` mask is set."""
        kept = np.repeat(chosen, self.lengths)
        offsets = np.concatenate([[0], np.cumsum(self.lengths[chosen])]).astype(np.int64)
        batches = self.batch_ids
        if batches is not None:
            batches = tuple(batch for batch, is_kept in zip(batches, chosen.tolist(), strict=True) if is_kept)
        shown_at = None if self.shown_at is None else self.shown_at[kept]
        queries = self.queries[chosen]
        return ClickLog(self.clicks[kept], offsets, queries, self.items[kept], self.num_items, batches, shown_at)


@dataclass(frozen=True)
class Pairs:
    """The distinct (query, item) of a log.

    Args:
        codes: `int64[pairs]`, ascending, as ClickLog.codes has them.
    """

    codes: NDArray[np.int64]

    @classmethod
    def of(cls, log: ClickLog) -> tuple[Pairs, NDArray[np.int32]]:
        """The pairs, and `int32[results]`: which of them each result is."""
        codes, index = np.unique(log.codes, return_inverse=True)
        return cls(codes), index.astype(np.int32)

    def __len__(self) -> int:
        return len(self.codes)

    def find(self, log: ClickLog) -> NDArray[np.int64]:
        """`int64[results]`: which pair each result of another log is; -1 where the pair is not known."""
        if len(self) == 0:
            return np.full(len(log.clicks), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.codes, log.codes), len(self) - 1)
        return np.where(self.codes[places] == log.codes, places, -1)


def position_classes(positions: NDArray[np.integer]) -> NDArray[np.int32]:
    """`int32`, of the same shape: the class of each position from 0. The first 32 have one each."""
    deep = np.maximum(positions, _EXACT_POSITIONS).astype(np.float64)
    classes = _EXACT_POSITIONS + np.floor(_CLASSES_A_DOUBLING * np.log2(deep / _EXACT_POSITIONS))
    return np.where(positions < _EXACT_POSITIONS, positions, classes).astype(np.int32)


def first_positions(classes: int) -> NDArray[np.int64]:
    """`int64[classes]`: the first position of each class from the top."""
    numbers = np.arange(classes)
    deep = np.ceil(_EXACT_POSITIONS * 2.0 ** ((numbers - _EXACT_POSITIONS) / _CLASSES_A_DOUBLING) - 1e-9)
    return np.where(numbers < _EXACT_POSITIONS, numbers, deep).astype(np.int64)
