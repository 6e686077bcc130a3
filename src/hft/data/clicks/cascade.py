"""The cascade model: people look from the top, click on the first result that attracts them, and stop.

P(click at i) = attraction[i] * product over j < i of (1 - attraction[j]). Source: Craswell et al. 2008, "An
experimental comparison of click position-bias models" (WSDM).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hft.data.clicks.evidence import Reading, unclicked
from hft.data.clicks.log import ClickLog, Pairs
from hft.data.clicks.model import ClickModel, PairValues, ReadsClicks
from hft.data.clicks.running_sums import products_above

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Examined impressions of mean attraction that are added to each (query, item).
_PRIOR_IMPRESSIONS = 1.0


@dataclass(frozen=True)
class CascadeFit:
    """Attraction of each (query, item).

    Args:
        attraction: of each.
        notes: lines for people.
    """

    attraction: PairValues
    notes: tuple[str, ...]

    def read(self, log: ClickLog) -> Reading:
        """See ReadsClicks."""
        attraction = self.attraction.of(log)
        propensities = products_above(np.log1p(-attraction), log)
        examined = _examined(log).astype(np.float64)
        return Reading(propensities, examined, np.where(examined > 0, 1.0, unclicked(propensities, attraction)[1]))


class CascadeModel(ClickModel):
    """Everything down to the first click was examined, and nothing below it.

    It needs no swaps. It has no explanation for a second click of a session (the DBN has); such clicks are kept as
    evidence, and their share is said.

    Args:
        weighting, clip, unexamined_negatives: see ClickModel.
    """

    def _fit(self, log: ClickLog) -> ReadsClicks:
        pairs, index = Pairs.of(log)
        first = log.clicks & (log.last_clicks < 0)
        seen = np.bincount(index[_examined(log)], minlength=len(pairs))
        clicks = np.bincount(index[first], minlength=len(pairs))
        mean = float(np.clip(clicks.sum() / max(seen.sum(), 1), 1e-6, 1.0 - 1e-6))
        values = (clicks + _PRIOR_IMPRESSIONS * mean) / (seen + _PRIOR_IMPRESSIONS)
        per_session = np.bincount(log.sessions[log.clicks], minlength=len(log))
        several = float((per_session > 1).sum() / max((per_session > 0).sum(), 1))
        notes: tuple[str, ...] = (
            f"cascade model: fitted on {len(log):,} sessions; an examined result attracts with probability {mean:.3f}",
        )
        if several > 0.05:
            notes += (
                f"{several:.0%} of the sessions with a click have several, which a cascade cannot explain: "
                "data/clicks=dbn can",
            )
        return CascadeFit(PairValues(pairs, np.clip(values, 1e-6, 1.0 - 1e-6).astype(np.float32), mean), notes)


def _examined(log: ClickLog) -> NDArray[np.bool_]:
    """`bool[results]`: down to the first click of the session, and itself."""
    return np.asarray(log.last_clicks < 0, dtype=np.bool_)
