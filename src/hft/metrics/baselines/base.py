"""The contract of a baseline: what a ranking without any model would be worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]


class Baseline(Protocol):
    """Scores shown lists, or ranks a pool of items. Higher scores are better."""

    name: ClassVar[str]

    def shown(self, queries: Sequence[str], results: Ints, offsets: Ints) -> npt.NDArray[np.float64]:
        """float64[results]: scores of the shown results, for `rank_lists`.

        Args:
            queries: one a list.
            results: int[results], rows of the items, flat over the lists.
            offsets: int[queries + 1], where each list begins.
        """

    def corpus(self, queries: Sequence[str], pool: Ints, depth: int) -> npt.NDArray[np.int64]:
        """int64[queries, min(depth, pool)]: the best rows of the pool, best first, for `rank_matrix`.

        Args:
            queries: what to rank for.
            pool: int[rows], rows of the items that may be ranked.
            depth: how many to give.
        """
