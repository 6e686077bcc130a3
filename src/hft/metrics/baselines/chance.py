"""Random order: what every other number has to be read against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hft.metrics.base import Metric
from hft.metrics.ranked_lists import RankedLists

Ints = npt.NDArray[np.integer]

# Orders that are averaged for a metric without a closed form: at least so many a query, and of all queries together.
_DRAWS_A_QUERY = 20
_DRAWS = 20_000


def expected_at_random(
    metric: Any, draw: Callable[[int], RankedLists], candidates: npt.NDArray[np.int64], seed: int = 0
) -> tuple[npt.NDArray[np.float64], int]:
    """What a metric of a uniformly random order is worth: its expectation, else a mean over many orders.

    Args:
        metric: `metric(lists) -> float64[queries]`.
        draw: from a seed to a random ranking.
        candidates: int64[queries], how many items each query ranks.
        seed: of the first order.

    Returns:
        float64[queries], NaN where the metric has no value; and over how many orders it is a mean, 0: it is exact.
    """
    lists = draw(seed)
    values: npt.NDArray[np.float64] = metric(lists)
    expected = metric.at_random(lists, candidates) if _knows_its_expectation(metric) else None
    if expected is not None:
        return np.where(np.isnan(values), np.nan, expected), 0
    draws = max(_DRAWS_A_QUERY, -(-_DRAWS // max(len(values), 1)))
    total = values.astype(np.float64)
    for number in range(1, draws):
        total = total + metric(draw(seed + number))
    return total / draws, draws


def _knows_its_expectation(metric: Any) -> bool:
    """Whether `at_random` belongs to the metric's own formula: a subclass may change that one alone."""
    if not isinstance(metric, Metric):
        return False
    kind = type(metric)
    return all(issubclass(_owner(kind, "at_random"), _owner(kind, name)) for name in ("_values", "__call__"))


def _owner(kind: type, name: str) -> type:
    return next(one for one in kind.__mro__ if name in vars(one))


class RandomBaseline:
    """Any order is as likely as any other.

    Args:
        seed: of the draw.
    """

    name: ClassVar[str] = "random"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def shown(self, queries: Sequence[str], results: Ints, offsets: Ints) -> npt.NDArray[np.float64]:
        """float64[results]: see Baseline."""
        return np.random.default_rng(self._seed).random(len(results))

    def corpus(self, queries: Sequence[str], pool: Ints, depth: int) -> npt.NDArray[np.int64]:
        """int64[queries, min(depth, pool)]: see Baseline."""
        random = np.random.default_rng(self._seed)
        kept = min(depth, len(pool))
        drawn = [random.choice(len(pool), kept, replace=False) for _ in queries]
        columns = np.array(drawn, dtype=np.int64).reshape(len(queries), kept)
        return np.asarray(pool, dtype=np.int64)[columns]
