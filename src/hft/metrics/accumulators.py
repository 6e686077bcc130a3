"""MetricsAccumulator: a stream of values as its last one, mean, sliding mean, minimum and maximum."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

AccumulatorKind = Literal["last", "mean", "sliding", "min", "max"]


class MetricsAccumulator:
    """Follows one logged value.

    Args:
        kinds: what to give at each update: `last`, `mean` (of all so far), `sliding` (mean of the last
            `window`), `min`, `max`.
        window: values in the sliding mean.
    """

    def __init__(self, kinds: Sequence[AccumulatorKind] = ("last",), window: Annotated[int, Field(ge=1)] = 50) -> None:
        self.kinds = tuple(kinds)
        self.window = window
        self._recent: deque[float] = deque(maxlen=window)
        self._count = 0
        self._sum = 0.0
        self._min = float("inf")
        self._max = float("-inf")

    def update(self, value: float) -> dict[str, float]:
        """Takes one value in; returns every kind's value, by kind."""
        value = float(value)
        self._recent.append(value)
        self._count += 1
        self._sum += value
        self._min = min(self._min, value)
        self._max = max(self._max, value)
        return self.values()

    def values(self) -> dict[str, float]:
        """Every kind's value, by kind; empty before the first update."""
        if not self._count:
            return {}
        known = {
            "last": self._recent[-1],
            "mean": self._sum / self._count,
            "sliding": sum(self._recent) / len(self._recent),
            "min": self._min,
            "max": self._max,
        }
        return {kind: known[kind] for kind in self.kinds}

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "recent": list(self._recent),
            "count": self._count,
            "sum": self._sum,
            "min": self._min,
            "max": self._max,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self._recent = deque(state["recent"], maxlen=self.window)
        self._count, self._sum = state["count"], state["sum"]
        self._min, self._max = state["min"], state["max"]
