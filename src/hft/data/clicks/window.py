"""Results are believed by how many events lie near them in their list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray


class WindowConfidence:
    """Confidence from the events in a window around each result, over the whole list.

    With n(i) results with an event among those at most `window_size` places from result i (itself
    included), the confidence is max(floor, n(i) / max over the list of n). A skipped result among picked
    ones was probably seen, so its absence of an event counts; one far from any event may never have been
    looked at. Divided by the maximum and not stretched between minimum and maximum: the only event of a
    list keeps confidence 1 wherever it stands. A session without an event has confidence 1 throughout: it
    gives nothing to compare with.

    Args:
        window_size: results on each side that count.
        floor: lowest confidence.
    """

    each_session_alone: ClassVar[bool] = True

    def __init__(
        self,
        window_size: Annotated[int, Field(ge=0)] = 3,
        floor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1,
    ) -> None:
        self.window_size = window_size
        self.floor = floor

    def __call__(self, events: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
        """`float32[results]` in (0, 1].

        Args:
            events: `float32[results]` weights, session after session.
            offsets: `int64[sessions+1]` into events.
        """
        lengths = np.diff(offsets)
        before = np.concatenate([[0], np.cumsum(events > 0)])
        places = np.arange(len(events))
        first = np.maximum(places - self.window_size, np.repeat(offsets[:-1], lengths))
        last = np.minimum(places + self.window_size + 1, np.repeat(offsets[1:], lengths))
        near = (before[last] - before[first]).astype(np.float32)
        highest = np.zeros(len(lengths), dtype=np.float32)
        filled = lengths > 0  # an empty session would take its neighbour's value from reduceat
        if filled.any():
            highest[filled] = np.maximum.reduceat(near, offsets[:-1][filled])
        most = np.repeat(highest, lengths)
        share = np.divide(near, most, out=np.ones_like(near), where=most > 0)
        return np.asarray(np.maximum(share, self.floor), dtype=np.float32)
