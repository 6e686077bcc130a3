"""Clicks on what is not relevant: relevance is two-valued, and both kinds of results draw clicks once examined.

P(click | position k, relevant) = a[k], P(click | position k, not relevant) = b[k]. With false clicks alone
a[k] = e+ * examination[k] and b[k] = e- * examination[k]; with trust bias all of them are free, which makes the
probability of a click an affine function of relevance (Agarwal et al. 2019, "Addressing trust bias for unbiased
learning-to-rank", WWW; Vardasbi, Oosterhuis and de Rijke 2020, "When inverse propensity scoring does not work").
Whether a (query, item) is relevant is the same in all its impressions, and is what EM averages over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hft.data.clicks.evidence import Reading
from hft.data.clicks.log import ClickLog, Pairs, position_classes
from hft.data.clicks.relative import Cells
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_STEPS = 1000
_TOLERANCE = 1e-5
_LOWEST, _HIGHEST = 1e-6, 1.0 - 1e-6
# Impressions that a (query, item) has on average, for its relevance to be told from one draw of the dice.
_FEWEST_IMPRESSIONS = 2.0
# Where EM starts: rates of the two kinds, in units of the mean rate, and the share of relevant results.
_START_RELEVANT, _START_OTHER, _START_SHARE = 3.0, 0.33, 0.3


@dataclass(frozen=True)
class TwoValuedStart:
    """Where EM starts, and what it may move.

    Args:
        examination: `float64[classes]` relative to the highest.
        is_fixed: whether it stays.
        trust_bias: whether both rates are free at each position.
    """

    examination: NDArray[np.float64]
    is_fixed: bool
    trust_bias: bool


@dataclass(frozen=True)
class TwoValuedFit:
    """Rates of clicks by position class.

    Args:
        if_relevant, if_not: `float64[classes]`: a and b.
        share: of relevant among the shown (query, item) pairs.
        notes: lines for people.
    """

    if_relevant: NDArray[np.float64]
    if_not: NDArray[np.float64]
    share: float
    notes: tuple[str, ...]

    def by_position(self) -> NDArray[np.float64]:
        """`float64[classes]`: probability of a true click relative to the highest."""
        return np.asarray(self.if_relevant / self.if_relevant.max())

    def read(self, log: ClickLog) -> Reading:
        """See ReadsClicks. The relevance of a pair is what all of its clicks in the log say."""
        pairs, index = Pairs.of(log)
        classes = np.minimum(position_classes(log.positions), np.int32(len(self.if_relevant) - 1))
        cells = Cells.of(index, classes, log.clicks, len(pairs), len(self.if_relevant))
        truth = _posterior(cells, self.if_relevant, self.if_not, self.share)[0][index]
        highest = self.if_relevant.max()
        propensities = (self.if_relevant / highest)[classes]
        # Examined, given no click: by either kind.
        examined = np.zeros(len(index))
        for kind, rates in ((truth, self.if_relevant), (1.0 - truth, self.if_not)):
            rate = np.minimum(rates[classes], _HIGHEST)
            examined += kind * np.clip((propensities - rate) / (1.0 - rate), 0.0, 1.0)
        return Reading(propensities, np.where(log.clicks, 1.0, examined), 1.0 - truth, truth)


def fit_two_valued(cells: Cells, start: TwoValuedStart, notes: tuple[str, ...]) -> TwoValuedFit:
    """The rates by EM.

    Args:
        cells: impressions and clicks.
        start: examination, and what may move.
        notes: lines that stand before this fit's own.

    Raises:
        DataError: a (query, item) is shown too seldom to tell whether it is relevant.
    """
    shown = cells.by_pair(cells.impressions)
    mean_impressions = float(shown[shown > 0].mean())
    if mean_impressions < _FEWEST_IMPRESSIONS:
        raise DataError(
            f"data.clicks.false_clicks: a result is shown {mean_impressions:.1f} times for its query on average, so "
            f"that one click cannot be told a false one from another. Expected at least {_FEWEST_IMPRESSIONS:g} times. "
            "Write data.clicks.false_clicks=false (and trust_bias=false), or give more sessions."
        )
    found, steps, moved = _Rates.first(cells, start.examination), 0, np.inf
    while steps < _MOST_STEPS and moved > _TOLERANCE:
        following = found.improved(cells, start)
        moved = following.distance(found)
        found, steps = following, steps + 1
    if found.relevant.mean() < found.other.mean():  # the kinds have no names of their own
        found = _Rates(found.examination, found.other, found.relevant, 1.0 - found.share)
    a, b = found.examination * found.relevant, found.examination * found.other
    line = (
        f"false clicks: fitted in {steps} steps of EM; relevant {found.share:.1%} of the shown results; an examined "
        f"result is clicked with probability {found.relevant[0]:.2f} if relevant, {found.other[0]:.2f} if not"
    )
    by_position = " ".join(f"{value:.2f}" for value in (a / a.max())[:10])
    return TwoValuedFit(a, b, found.share, (*notes, line, f"propensity of a true click by position: {by_position}"))


@dataclass(frozen=True)
class _Rates:
    """Parameters while EM goes on: examination, and the rates of an examined result, `float64[classes]` each."""

    examination: NDArray[np.float64]
    relevant: NDArray[np.float64]
    other: NDArray[np.float64]
    share: float

    @classmethod
    def first(cls, cells: Cells, examination: NDArray[np.float64]) -> _Rates:
        rate = cells.clicks.sum() / (cells.impressions * examination[cells.contexts]).sum()
        high = np.full(cells.num_contexts, min(0.95, _START_RELEVANT * rate))
        low = np.full(cells.num_contexts, min(0.5, _START_OTHER * rate))
        return cls(examination.copy(), high, np.minimum(low, high / 2), _START_SHARE)

    def improved(self, cells: Cells, start: TwoValuedStart) -> _Rates:
        """A step of EM."""
        a, b = self.examination * self.relevant, self.examination * self.other
        by_pair, shown = _posterior(cells, a, b, self.share)
        truth = by_pair[cells.pairs]
        share = float(np.clip(by_pair[shown].mean(), _LOWEST, _HIGHEST))
        if start.trust_bias:
            return self._free(cells, truth, share)
        misses = cells.impressions - cells.clicks
        at = self.examination[cells.contexts]
        seen = np.zeros(len(truth))
        rates = []
        for kind, rate in ((truth, self.relevant[0]), (1.0 - truth, self.other[0])):
            examined = cells.clicks + misses * at * (1.0 - rate) / (1.0 - at * rate)
            rates.append(float((kind * cells.clicks).sum() / max((kind * examined).sum(), 1e-300)))
            seen += kind * examined
        examination = self.examination
        if not start.is_fixed:
            total = cells.by_context(cells.impressions)
            examination = np.divide(cells.by_context(seen), total, out=examination.copy(), where=total > 0)
            highest = examination[total > 0].max()
            # Only the products are known: the best seen position is fully seen.
            examination, rates = np.minimum(examination / highest, 1.0), [rate * highest for rate in rates]
        high, low = (np.full(cells.num_contexts, np.clip(rate, _LOWEST, _HIGHEST)) for rate in rates)
        return _Rates(np.clip(examination, _LOWEST, 1.0), high, low, share)

    def _free(self, cells: Cells, truth: NDArray[np.float64], share: float) -> _Rates:
        rates = []
        for kind, before in ((truth, self.relevant), (1.0 - truth, self.other)):
            shown = cells.by_context(kind * cells.impressions)
            found = np.divide(cells.by_context(kind * cells.clicks), shown, out=before.copy(), where=shown > 1e-9)
            rates.append(np.clip(found, _LOWEST, _HIGHEST))
        # All is in the rates; examination stays 1.
        return _Rates(np.ones(cells.num_contexts), rates[0], rates[1], share)

    def distance(self, other: _Rates) -> float:
        """The largest change of a parameter."""
        parts = [
            np.abs(getattr(self, name) - getattr(other, name)).max() for name in ("examination", "relevant", "other")
        ]
        return float(max(*parts, abs(self.share - other.share)))


def _posterior(
    cells: Cells, if_relevant: NDArray[np.float64], if_not: NDArray[np.float64], share: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(`float64[pairs]` probability that each is relevant given its clicks, `bool[pairs]` whether it was shown)."""
    a, b = (np.clip(rates, _LOWEST, _HIGHEST)[cells.contexts] for rates in (if_relevant, if_not))
    odds = cells.clicks * np.log(a / b) + (cells.impressions - cells.clicks) * np.log((1.0 - a) / (1.0 - b))
    total = np.log(share / (1.0 - share)) + cells.by_pair(odds)
    found = 1.0 / (1.0 + np.exp(-np.clip(total, -700.0, 700.0)))
    return found, cells.by_pair(cells.impressions) > 0
