"""People who look down a list and click, written apart from hft's own simulators and click models.

Not a benchmark itself. Every search shows all judged items of its query, by popularity with noise of its own, so that
items change their position. The position p (from 1) is looked at with probability 1/p exactly. A relevant item that is
looked at is clicked; any other is by mistake, with probability `false_clicks`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hft.data import FineTuningInputs
from hft.data.arrow import list_column

# Standard deviation of a search's noise, in units of the standard deviation of log(1 + popularity) over the items.
NOISE = 0.5


@dataclass(frozen=True)
class PassersBy:
    """Searches of given queries with their clicks.

    Args:
        impressions: searches of a query.
        false_clicks: probability that an item that is looked at and not relevant is clicked.
        seed: of all draws.
    """

    impressions: int
    false_clicks: float
    seed: int

    def __call__(self, queries: FineTuningInputs) -> FineTuningInputs:
        """The searches, with their results from the top and an event a click."""
        rng = np.random.default_rng(self.seed)
        liked = np.bincount(queries.flat_judged[queries.flat_grades > 0], minlength=len(queries.items))
        popularity = np.log1p(liked)
        popularity /= popularity.std()
        results, clicks, offsets = [], [], [0]
        starts = queries.judgement_offsets
        for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            items, relevant = queries.flat_judged[first:last], queries.flat_grades[first:last] > 0
            for _ in range(self.impressions):
                order = np.argsort(-popularity[items] - NOISE * rng.standard_normal(len(items)))
                seen = rng.random(len(items)) * np.arange(1, len(items) + 1) < 1.0
                wanted = relevant[order] | (rng.random(len(items)) < self.false_clicks)
                results.append(items[order])
                clicks.append(seen & wanted)
                offsets.append(offsets[-1] + len(items))
        searches = queries.select(np.repeat(np.arange(len(queries)), self.impressions))
        bounds = np.array(offsets, dtype=np.int64)
        return searches.replace(
            session_id=[f"{name}/{row % self.impressions}" for row, name in enumerate(searches.session_ids)],
            results=list_column(bounds, np.concatenate(results), pa.int32()),
            events=list_column(bounds, np.concatenate(clicks).astype(np.float32), pa.float32()),
        )
