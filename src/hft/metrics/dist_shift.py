"""How far training moved the ranks of what was picked, and of what irrelevant sessions were shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hft.metrics.ranked_lists import query_of_results

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


class DistShift(ABC):
    """Mean of t * (rank now - rank at the start) over some results of each session. Positive is better.

    Args of a call:
        start_ranks: float[results], ranks by the starting model, flat over the sessions' lists.
        ranks: float[results], ranks by the model now.
        events: float[results], above 0 where the result has an event.
        offsets: int[sessions + 1], where each list begins.
        is_irrelevant: bool[sessions].
        sign: t, +1 where the rank is a similarity, -1 where it is a distance.

    A call returns float64[sessions] in units of the ranker: the mean over the session's results that count,
    NaN for a session without any. Absent is NaN, never 0: `mean_over_queries` then leaves it out, and gives
    None where no session counts.
    """

    base_name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    compares_with_start: ClassVar[bool] = True  # the starting model has no value; the pre-flight check reads it

    @property
    def name(self) -> str:
        """As it stands in logs, without the split."""
        return self.base_name

    def __call__(
        self,
        start_ranks: npt.ArrayLike,
        ranks: npt.ArrayLike,
        events: npt.ArrayLike,
        offsets: npt.ArrayLike,
        is_irrelevant: npt.ArrayLike,
        sign: float,
    ) -> npt.NDArray[np.float64]:
        """float64[sessions], NaN where the session has no result that counts."""
        query_of = query_of_results(np.asarray(offsets, dtype=np.int64))
        irrelevant = np.asarray(is_irrelevant, dtype=np.bool_)
        counted = self._counted(np.asarray(events) > 0, irrelevant[query_of])
        moved = sign * (np.asarray(ranks, dtype=np.float64) - np.asarray(start_ranks, dtype=np.float64))
        sums = np.bincount(query_of[counted], weights=moved[counted], minlength=len(irrelevant))
        counts = np.bincount(query_of[counted], minlength=len(irrelevant))
        means = np.divide(sums, counts, out=np.full(len(irrelevant), np.nan), where=counts > 0)
        return np.asarray(self._direction() * means, dtype=np.float64)

    @abstractmethod
    def _counted(self, has_event: Bools, is_irrelevant: Bools) -> Bools:
        """bool[results]: the results whose shift counts."""

    @abstractmethod
    def _direction(self) -> float:
        """+1 where a result should come closer to the query, -1 where it should move away."""


class NotIrrelevantDistShift(DistShift):
    """Over the events of sessions that are not irrelevant: picked results should come closer."""

    base_name: ClassVar[str] = "not_irrelevant_dist_shift"

    def _counted(self, has_event: Bools, is_irrelevant: Bools) -> Bools:
        return has_event & ~is_irrelevant

    def _direction(self) -> float:
        return 1.0


class IrrelevantDistShift(DistShift):
    """Over all results of irrelevant sessions, negated: what was shown in vain should move away."""

    base_name: ClassVar[str] = "irrelevant_dist_shift"

    def _counted(self, has_event: Bools, is_irrelevant: Bools) -> Bools:
        return is_irrelevant

    def _direction(self) -> float:
        return -1.0
