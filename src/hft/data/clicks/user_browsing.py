"""The user browsing model: examination depends on the position and on how far up the last click is.

P(click at r | last click above at r') = examination[r, r - r'] * attraction[query, item]. Source: Dupret and
Piwowarski 2008, "A user browsing model to predict search engine click data from past observations" (SIGIR).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hft.data.clicks.evidence import Reading, unclicked
from hft.data.clicks.log import ClickLog, Pairs, position_classes
from hft.data.clicks.model import ClickModel, ReadsClicks
from hft.data.clicks.relative import Cells, fit_attraction, fit_examination, linked_contexts, require_linked

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PRIOR_IMPRESSIONS = 1.0


@dataclass(frozen=True)
class UserBrowsingFit:
    """Examination by (position class, class of the distance to the last click above).

    Args:
        examination: `float64[classes, classes + 1]` relative to the highest; the distance of a list without a click so
            far is that to a place above its top.
        notes: lines for people.
    """

    examination: NDArray[np.float64]
    notes: tuple[str, ...]

    def read(self, log: ClickLog) -> Reading:
        """See ReadsClicks. A propensity is the probability of examination given the clicks above."""
        pairs, index = Pairs.of(log)
        contexts = _contexts(log, len(self.examination))
        flat = self.examination.ravel()
        cells = Cells.of(index, contexts, log.clicks, len(pairs), len(flat))
        attraction, _ = fit_attraction(cells, flat, _PRIOR_IMPRESSIONS)
        propensities = flat[contexts]
        examined, irrelevant = unclicked(propensities, attraction[index])
        return Reading(propensities, np.where(log.clicks, 1.0, examined), irrelevant)


class UserBrowsingModel(ClickModel):
    """Examination by position and distance to the last click, fitted on results that change their place.

    Args:
        weighting, clip, unexamined_negatives: see ClickModel.
    """

    def _fit(self, log: ClickLog) -> ReadsClicks:
        pairs, index = Pairs.of(log)
        classes = int(position_classes(log.positions).max(initial=0)) + 1
        contexts = _contexts(log, classes)
        cells = Cells.of(index, contexts, log.clicks, len(pairs), classes * (classes + 1))
        linked = linked_contexts(cells)
        require_linked(linked, type(self).__name__)
        found, steps = fit_examination(cells, linked)
        examination = found.reshape(classes, classes + 1)
        from_top = " ".join(f"{examination[r, r + 1]:.2f}" for r in range(min(classes, 10)))
        after = " ".join(f"{examination[r, 1]:.2f}" for r in range(1, min(classes, 10)))
        notes = (
            f"user browsing model: fitted on {len(log):,} sessions in {steps} steps, from {linked.num_moved:,} clicked "
            "results that changed their place for a query",
            f"examination by position, before any click: {from_top}",
            f"examination right below a click, from position 2: {after}",
        )
        return UserBrowsingFit(examination, notes)


def _contexts(log: ClickLog, classes: int) -> NDArray[np.int32]:
    """`int32[results]`: position class and distance class as one number."""
    distance = log.positions - log.last_clicks
    places = np.minimum(position_classes(log.positions), classes - 1)
    apart = np.minimum(position_classes(distance), classes)
    return (places * (classes + 1) + apart).astype(np.int32)
