"""The same session logged more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hft.data.conversion.rule import Converted, lacking_note, lacks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs

# Multipliers of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
_GOLDEN, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class DuplicateSessions:
    """Leaves out sessions that repeat another one; the first is kept.

    Args:
        same_id: sessions with the id of a session before them in the log.
        window: sessions of one user with the same query, results, events and order (`sort_by`) at most so many seconds
            after the like session before them, so that a whole chain of reloads leaves one. null: no such rule. A
            session without a user or a timestamp is no duplicate by it: like sessions of unknown users may be those of
            many people.
    """

    def __init__(self, same_id: bool = False, window: Annotated[float, Field(ge=0.0)] | None = None) -> None:
        self.same_id = same_id
        self.window = window

    def apply(self, inputs: FineTuningInputs) -> Converted:
        """Leaves them out; one by both rules is counted under its id."""
        out = np.zeros(len(inputs), dtype=np.bool_)
        dropped: dict[str, int] = {}
        notes: tuple[str, ...] = ()
        if self.same_id:
            out |= _again(_numbers(inputs.table.column("session_id")))
            dropped["sessions with the id of another one"] = int(out.sum())
        if self.window is not None and (lacking := _lacking(inputs)) is not None:
            notes = (lacking_note("duplicate sessions (window)", lacking, f"a {lacking}"),)
        elif self.window is not None:
            unknown = int((inputs.user_numbers < 0).sum())
            if unknown:
                notes = (f"duplicate sessions (window): {unknown:,} sessions without a user are left as they are",)
            like = self._soon_again(inputs) & ~out
            dropped[f"sessions like another one at most {self.window:g} s before"] = int(like.sum())
            out |= like
        left = inputs.select(~out) if out.any() else inputs
        return Converted(left, {reason: count for reason, count in dropped.items() if count}, notes=notes)

    def _soon_again(self, inputs: FineTuningInputs) -> NDArray[np.bool_]:
        seconds = inputs.timestamps
        keys = content_keys(inputs)
        known = np.flatnonzero(~np.isnan(seconds) & (inputs.user_numbers >= 0))
        order = known[np.lexsort((seconds[known], keys[known]))]
        before, after = order[:-1], order[1:]
        again = (keys[before] == keys[after]) & (seconds[after] - seconds[before] <= (self.window or 0.0))
        found = np.zeros(len(inputs), dtype=np.bool_)
        found[after[again]] = True
        return found


def content_keys(inputs: FineTuningInputs) -> NDArray[np.uint64]:
    """`uint64[sessions]`: equal for sessions of one query, user, `sort_by`, results in their order and events.

    64 bits of a hash: among 10 million sessions two different ones meet with a probability of 3 in a million.
    """
    lengths = np.diff(inputs.offsets)
    places = np.arange(len(inputs.flat_results), dtype=np.int64) - np.repeat(inputs.offsets[:-1], lengths)
    shown = _mixed(inputs.flat_results.astype(np.uint64) << np.uint64(32) | places.astype(np.uint64))
    shown ^= inputs.flat_events.view(np.uint32).astype(np.uint64)
    # Sums of well mixed numbers; a session is never empty, and reduceat would take a neighbour's value for one that is.
    total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(_mixed(shown), dtype=np.uint64)])
    ends = inputs.offsets
    keys = total[ends[1:]] - total[ends[:-1]]
    keys ^= _mixed(inputs.coded_queries.codes.astype(np.uint64))
    keys = _mixed(keys + _mixed((inputs.user_numbers + 2).astype(np.uint64) * _GOLDEN))
    return _mixed(keys + (_numbers(inputs.table.column("sort_by")) + 2).astype(np.uint64))


def _lacking(inputs: FineTuningInputs) -> str | None:
    """The column that the window looks at and no session has a value in; None: there is none such."""
    return next((column for column in ("timestamp", "user_id") if lacks(inputs, column)), None)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64 bits that leaves no pattern (splitmix64's finaliser)."""
    found = values + _GOLDEN
    found = (found ^ (found >> np.uint64(30))) * _FIRST
    found = (found ^ (found >> np.uint64(27))) * _SECOND
    return found ^ (found >> np.uint64(31))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """`int64[sessions]`: equal from 0 for equal texts; -1 where there is none."""
    indices = column.combine_chunks().dictionary_encode().indices
    return np.asarray(pc.fill_null(indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _again(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`bool[sessions]`: the number stood before."""
    found = np.ones(len(numbers), dtype=np.bool_)
    found[np.unique(numbers, return_index=True)[1]] = False
    return found
