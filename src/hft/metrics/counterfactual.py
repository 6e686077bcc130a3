"""What clicks on the shown lists say of another order of them: self-normalised inverse propensity estimates.

A click at a place that is seldom examined stands for many that would have been there had people looked, so it weighs
the inverse of its propensity. The estimate of a metric that gives a relevant result at place p of a ranking the value
v(p) is the weighted mean of v over all clicks. It needs no judged relevance; it is as good as the propensities.
Sources: Joachims, Swaminathan and Schnabel 2017, "Unbiased learning-to-rank with biased feedback" (equation 6);
self-normalisation: Swaminathan and Joachims 2015, "The self-normalized estimator for counterfactual learning"; the
interval is the ratio estimator's, linearised, over queries: Owen 2013, "Monte Carlo theory, methods and examples", 9.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hft.metrics.comparison import FEW_QUERIES
from hft.metrics.mean_bound import lower_bound
from hft.metrics.ranked_lists import order_within

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Half the width of a 95% interval, in standard errors.
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class WeightedClicks:
    """The clicks of some sessions.

    Args:
        results: int64[clicks], which of the shown results each is on.
        weights: float64[clicks], above 0: probability that it is a true click, over its propensity.
        queries: int64[clicks], the distinct query of each, from 0: clicks of one are no independent evidence.
        examination: float64[positions], how probably each place is examined, from the top, where the click model says
            so by place alone; deeper ones as the last. None: not known.
    """

    results: Ints
    weights: Floats
    queries: Ints
    examination: Floats | None = None

    def __len__(self) -> int:
        return len(self.results)

    @property
    def effective_sample_size(self) -> float:
        """(sum of the weights)^2 / sum of their squares: so many clicks of equal weight tell as much (Kish 1965)."""
        squares = float((self.weights**2).sum())
        return float(self.weights.sum() ** 2 / squares) if squares > 0 else 0.0


@dataclass(frozen=True)
class ClickEstimate:
    """What clicks say of one metric.

    Args:
        shown: of the order that was shown.
        start: of the starting model's order, with its 95% interval.
        tuned: of the tuned model's; None where there is none.
        difference: tuned - start, with its interval.
        clicks: how many there are.
        effective_sample_size: how many clicks of equal weight tell as much.
    """

    shown: float
    start: float
    start_interval: tuple[float, float]
    tuned: float | None
    difference: float | None
    interval: tuple[float, float] | None
    clicks: int
    effective_sample_size: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClickEstimate:
        """What `to_dict` gave, also after a way through JSON."""
        pairs = {name: None if values[name] is None else tuple(values[name]) for name in ("start_interval", "interval")}
        return cls(**{**values, **pairs})


def click_estimates(
    clicks: WeightedClicks,
    offsets: Ints,
    start_ranks: npt.NDArray[np.float32],
    tuned_ranks: npt.NDArray[np.float32] | None,
    *,
    k: int,
    higher_is_better: bool,
    seed: int = 0,
) -> dict[str, ClickEstimate]:
    """Estimates by metric: `snips_dcg@k` (1 / log2(1 + place), mean over true clicks), `snips_recall@k` (share of them
    among the first k) and, where examination is known by place, `snips_ctr@k` (share of what attracts that would be
    clicked among the first k); empty where there is no click.

    Args:
        clicks: on the shown results.
        offsets: int64[sessions + 1], where each shown list starts.
        start_ranks, tuned_ranks: float32[results], of all shown results by the two models.
        k: positions that count.
        higher_is_better: whether a higher rank is the better one.
        seed: of the draw that breaks ties.
    """
    if len(clicks) == 0 or not clicks.weights.sum() > 0:
        return {}
    places = [_places_shown(offsets)[clicks.results]]
    for ranks in (start_ranks, tuned_ranks):
        if ranks is not None:
            places.append(_places(ranks, offsets, higher_is_better, seed)[clicks.results])
    values = {
        f"snips_dcg@{k}": [np.where(place <= k, 1.0 / np.log2(1.0 + place), 0.0) for place in places],
        f"snips_recall@{k}": [(place <= k).astype(np.float64) for place in places],
    }
    examination = clicks.examination
    if examination is not None:
        values[f"snips_ctr@{k}"] = [
            np.where(place <= k, examination[np.minimum(place, len(examination)) - 1], 0.0) for place in places
        ]
    return {name: _estimate(clicks, *of_orders) for name, of_orders in values.items()}


def snips_mean(values: Floats, clicks: WeightedClicks, lowest: float = 0.0) -> tuple[float, tuple[float, float]]:
    """The weighted mean of float64[clicks] values between `lowest` and 1, and its 95% interval over queries.

    Of fewer than FEW_QUERIES queries the interval is by the bound of hft.metrics.mean_bound over what each query adds
    to the linearised estimate; the one query more weighs as much as the heaviest.
    """
    weights, size = clicks.weights, int(clicks.queries.max(initial=-1)) + 1
    total = weights.sum()
    mean = float((weights * values).sum() / total)
    by_query = np.bincount(clicks.queries, weights * (values - mean), size)
    asked = np.unique(clicks.queries)
    known = len(asked)
    if known < FEW_QUERIES:
        heaviest = known * float(np.bincount(clicks.queries, weights, size).max()) / total
        added, tail = known * by_query[asked] / total, 0.025
        low = mean + lower_bound(added, tail, heaviest * (lowest - mean))
        high = mean - lower_bound(-added, tail, -heaviest * (1.0 - mean))
        return mean, (max(lowest, low), min(1.0, high))
    correction = known / max(known - 1, 1)
    error = float(np.sqrt(correction * (by_query**2).sum()) / total)
    return mean, (mean - _NORMAL_95 * error, mean + _NORMAL_95 * error)


def _estimate(clicks: WeightedClicks, shown: Floats, start: Floats, tuned: Floats | None = None) -> ClickEstimate:
    of_start, interval = snips_mean(start, clicks)
    difference = None if tuned is None else snips_mean(tuned - start, clicks, -1.0)
    return ClickEstimate(
        shown=snips_mean(shown, clicks)[0],
        start=of_start,
        start_interval=interval,
        tuned=None if tuned is None else snips_mean(tuned, clicks)[0],
        difference=None if difference is None else difference[0],
        interval=None if difference is None else difference[1],
        clicks=len(clicks),
        effective_sample_size=clicks.effective_sample_size,
    )


def _places_shown(offsets: Ints) -> Ints:
    """int64[results], from 1, in the order shown."""
    lengths = np.diff(offsets)
    found: Ints = np.arange(1, offsets[-1] + 1) - np.repeat(offsets[:-1], lengths)
    return found


def _places(ranks: npt.NDArray[np.float32], offsets: Ints, higher_is_better: bool, seed: int) -> Ints:
    """int64[results], from 1: the place of each shown result in the order of the ranks."""
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = order_within(ranks, owners, higher_is_better=higher_is_better, seed=seed)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = _places_shown(offsets)
    return places
