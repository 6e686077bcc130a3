"""The contract of a metric: a value a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hft.metrics.ranked_lists import RankedLists

# How deep a metric without a cutoff looks into a ranking of a pool.
FULL_DEPTH = 1000


class Metric(ABC):
    """`metric(lists) -> float64[queries]`. A metric of one's own derives from this class.

    Never only a mean: intervals and paired tests need the value of every query. A query without a relevant
    item is worth NaN, for no ranking of it is better than another; `mean_over_queries` leaves it out and
    counts it.

    Attributes:
        k: positions that count; None counts all, and leaves the cutoff out of the name.
    """

    base_name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    k: int | None = None

    @property
    def name(self) -> str:
        """As it stands in reports and in `main_metric`: `ndcg@10`."""
        return self.base_name if self.k is None else f"{self.base_name}@{self.k}"

    def __call__(self, lists: RankedLists) -> npt.NDArray[np.float64]:
        """float64[queries], NaN where the query has no relevant item."""
        return np.where(lists.num_relevant > 0, self._values(lists), np.nan)

    @abstractmethod
    def _values(self, lists: RankedLists) -> npt.NDArray[np.float64]:
        """float64[queries]; anything finite for a query without a relevant item."""

    def at_random(self, lists: RankedLists, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.float64] | None:
        """float64[queries]: the expectation under a uniformly random order; None: no closed form is known.

        Anything finite for a query without a relevant item, as of `_values`.

        Args:
            lists: any ranking of the candidates: its relevant items and its depth count, their places do not.
            candidates: int64[queries], how many items each query ranks.
        """
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(k={self.k})"


def ranking_depth(metrics: Iterable[Any]) -> int:
    """How deep a ranking of a pool must go for all of the metrics, whoever ranks: a model or a baseline.

    As deep as the largest cutoff; FULL_DEPTH where a metric has none.

    Args:
        metrics: those of rankings; what has no attribute `k` has no cutoff.
    """
    cutoffs = [getattr(metric, "k", None) for metric in metrics]
    return max((FULL_DEPTH if k is None else int(k) for k in cutoffs), default=1)


@dataclass(frozen=True)
class QueryMean:
    """A mean over queries. `value` is None where no query had a value; `left_out` counts those without."""

    value: float | None
    queries: int
    left_out: int


def mean_over_queries(values: npt.ArrayLike) -> QueryMean:
    """The mean of the values that are numbers."""
    array = np.asarray(values, dtype=np.float64)
    known = array[~np.isnan(array)]
    return QueryMean(
        value=float(known.mean()) if len(known) else None,
        queries=len(known),
        left_out=len(array) - len(known),
    )
