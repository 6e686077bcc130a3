"""Item popularity: what was picked in training is ranked first, whatever the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hft.metrics.ranked_lists import top_rows

Ints = npt.NDArray[np.integer]
Scores = npt.NDArray[np.float64]

# Imagined showings, picked at the overall rate, that every item starts with: one real showing moves an item
# little, ten speak for themselves.
PRIOR_SHOWINGS = 2.0


class ItemPopularityBaseline:
    """Smoothed log-odds of a pick in training: log((picked + a*q) / (passed over + a*(1 - q))).

    q is the share of all training showings that were picked, a is PRIOR_SHOWINGS. An item that training never
    showed gets the odds of q. Queries are ignored: whatever a model gains up to here can be popularity alone.

    Args:
        num_items: rows of the ItemsSet.
        train_results: int[results], rows shown in training, flat.
        train_events: float[results], above 0 where the showing was picked.
        seed: of the draw among equal scores of a corpus.
    """

    name: ClassVar[str] = "item_popularity"

    def __init__(self, num_items: int, train_results: Ints, train_events: npt.ArrayLike, seed: int = 0) -> None:
        picks = np.asarray(train_events) > 0
        shown = np.bincount(train_results, minlength=num_items)
        picked = np.bincount(train_results[picks], minlength=num_items)
        # The same smoothing keeps the overall rate off 0 and 1.
        rate = (picks.sum() + 1.0) / (len(picks) + 2.0)
        self.log_odds: Scores = np.log(picked + PRIOR_SHOWINGS * rate) - np.log(
            shown - picked + PRIOR_SHOWINGS * (1.0 - rate)
        )
        self._seed = seed

    @property
    def tells_apart(self) -> bool:
        """Whether any two items differ: without a pick in training there is no popularity to rank by."""
        return bool(np.ptp(self.log_odds) > 0.0) if len(self.log_odds) else False

    def shown(self, queries: Sequence[str], results: Ints, offsets: Ints) -> Scores:
        """float64[results]: see Baseline."""
        return self.log_odds[results]

    def corpus(self, queries: Sequence[str], pool: Ints, depth: int) -> npt.NDArray[np.int64]:
        """int64[queries, min(depth, pool)]: the same ranking for every query, ties drawn once."""
        best = top_rows(self.log_odds[pool][None, :], depth, rows=pool, seed=self._seed)
        return np.repeat(best, len(queries), axis=0)
