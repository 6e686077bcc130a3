"""Start against tuned over the same queries: means, intervals and a p that hold for few and for skewed queries too.

Resampling (the bootstrap's interval, the randomisation test's p) sees only what the sample holds. Of few queries it
promises too much, and of any number where a rare large loss that the sample happens to lack would tip the mean. There
the bound of hft.metrics.mean_bound takes its place, and the comparison says so. docs/statistics.md has the coverage and
the errors of both, simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hft.errors import DataError
from hft.metrics.mean_bound import lower_bound, spread_of, two_sided_p

Values = npt.NDArray[np.float64]
Interval = tuple[float, float]

BOOTSTRAP_DRAWS = 10_000
RANDOMIZATION_DRAWS = 20_000
# With fewer queries a bootstrap interval of 95% covers less, whatever the distribution: .85 with 10, .92 with 20.
FEW_QUERIES = 50
# A mean of n values is near enough to normal for a 95% interval to err at most 6 times in 100 if n is above so many
# times the squared skewness: Cochran, "Sampling Techniques", 3rd edition 1977, section 2.15.
QUERIES_A_SQUARED_SKEWNESS = 25.0
# Differences with a p below this are called real; the intervals leave out 0 exactly then.
SIGNIFICANT_BELOW = 0.05
# Random numbers held at once, a draw's for one query each: some 30 MB.
_CHUNK_CELLS = 4_000_000
# Two sums of the same numbers in another order are equal up to this share of the sum of their sizes.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Comparison:
    """One metric of the starting and the tuned model, over the same queries.

    With one model only (before any fine-tuning) everything of the tuned one is None.

    Args:
        start: mean of the starting model.
        tuned: mean of the tuned model.
        difference: tuned - start.
        interval: 95% interval of the difference. It leaves out 0 if and only if p is below .05.
        p: two-sided; None also where the data chose the tuned model.
        queries: queries that count.
        left_out: queries without a relevant item, which no ranking can serve.
        start_interval: 95% interval of `start`.
        tuned_interval: 95% interval of `tuned`.
        by_bound: which of the three intervals are by the bound of hft.metrics.mean_bound, and with `interval` the p;
            the others are by the percentile bootstrap, p by the paired randomisation test.
    """

    start: float
    tuned: float | None
    difference: float | None
    interval: Interval | None
    p: float | None
    queries: int
    left_out: int
    start_interval: Interval
    tuned_interval: Interval | None
    by_bound: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Comparison:
        """What `to_dict` gave."""
        typed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**typed)


def compare(start: npt.ArrayLike, tuned: npt.ArrayLike | None, *, seed: int = 0, level: float = 0.95) -> Comparison:
    """Compares a metric's values a query of two models, or describes those of one.

    Args:
        start: float[queries], by the starting model; NaN where the query has no relevant item.
        tuned: float[queries], by the tuned model, same queries, same order; None: there is none.
        seed: of the bootstrap and of the randomisation.
        level: of the intervals.

    Raises:
        DataError: if no query has a relevant item.
        ValueError: if the two do not cover the same queries.
    """
    before = np.asarray(start, dtype=np.float64)
    known = ~np.isnan(before)
    if not known.any():
        raise DataError(
            f"evaluation: none of the {len(before)} queries has a relevant item, so that nothing can be "
            "measured. Give labels: events on shown results, or judgements with a grade above 0."
        )
    queries, left_out = int(known.sum()), int((~known).sum())
    if tuned is None:
        rows = {"start_interval": before[known]}
    else:
        after = np.asarray(tuned, dtype=np.float64)
        if after.shape != before.shape or (np.isnan(after) == known).any():
            raise ValueError("start and tuned must hold a value for the same queries")
        rows = {"start_interval": before[known], "tuned_interval": after[known]}
        rows["interval"] = rows["tuned_interval"] - rows["start_interval"]
    spread = spread_of(*(rows[name] for name in rows if name != "interval"))
    ends = {name: (-spread, spread) if name == "interval" else _ends(values, spread) for name, values in rows.items()}
    # One set of draws serves all three, which costs a third.
    intervals = dict(zip(rows, _bootstrap(np.stack(list(rows.values())), seed, level), strict=True))
    p = paired_randomization_p(rows["interval"], seed=seed) if "interval" in rows else None
    by_bound = {
        name
        for name, values in rows.items()
        if not is_resampling_trusted(values, *ends[name], intervals[name], p if name == "interval" else None, level)
    }
    if "interval" in by_bound:
        p = two_sided_p(rows["interval"], spread)
    for name in by_bound:
        intervals[name] = _bounds(rows[name], *ends[name], level)
    means = {name: float(values.mean()) for name, values in rows.items()}
    return Comparison(
        start=means["start_interval"],
        tuned=means.get("tuned_interval"),
        difference=means.get("interval"),
        interval=intervals.get("interval"),
        p=p,
        queries=queries,
        left_out=left_out,
        start_interval=intervals["start_interval"],
        tuned_interval=intervals.get("tuned_interval"),
        by_bound=tuple(name for name in rows if name in by_bound),
    )


def is_resampling_trusted(
    values: Values, lowest: float, highest: float, interval: Interval, p: float | None, level: float = 0.95
) -> bool:
    """Whether the values are many and even, and the two resampling methods give one answer.

    Args:
        values: float[queries].
        lowest, highest: no value can lie beyond.
        interval: the bootstrap's, at `level`.
        p: of the randomisation test; None: there is none.
        level: of the interval.
    """
    if is_small_or_skewed(values, lowest, highest):
        return False
    return p is None or (p < 1.0 - level) == (interval[0] > 0.0 or interval[1] < 0.0)


def is_small_or_skewed(values: Values, lowest: float, highest: float) -> bool:
    """Whether resampling would promise too much of the mean: see FEW_QUERIES and QUERIES_A_SQUARED_SKEWNESS.

    The skewness is that of the values and one more at either end of what is possible: what the sample lacks by chance
    counts as much as a query.

    Args:
        values: float[queries].
        lowest, highest: no value can lie beyond.
    """
    if len(values) < FEW_QUERIES:
        return True
    return any(
        len(values) <= QUERIES_A_SQUARED_SKEWNESS * _skewness(np.append(values, end)) ** 2 for end in (lowest, highest)
    )


def _skewness(values: Values) -> float:
    centred = values - values.mean()
    variance = float((centred**2).mean())
    return float((centred**3).mean()) / variance**1.5 if variance > 0.0 else 0.0


def _ends(values: Values, spread: float) -> Interval:
    """Between which a model's values lie: 0 and 1, or else as far beyond what was seen as that reaches."""
    low, high = float(values.min()), float(values.max())
    return (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low - spread, high + spread)


def _bounds(values: Values, lowest: float, highest: float, level: float) -> Interval:
    tail = (1.0 - level) / 2.0
    return lower_bound(values, tail, lowest), -lower_bound(-values, tail, -highest)


def bootstrap_interval(
    values: npt.ArrayLike, *, seed: int = 0, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS
) -> Interval:
    """Percentile bootstrap interval of the mean.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        values: float[queries], all of them numbers.
        seed: of the draws.
        level: share of samples whose interval holds the true mean.
        draws: resamples.

    Raises:
        ValueError: if there is no value.
    """
    (interval,) = _bootstrap(np.asarray(values, dtype=np.float64)[None, :], seed, level, draws)
    return interval


def paired_randomization_p(differences: npt.ArrayLike, *, seed: int = 0, draws: int = RANDOMIZATION_DRAWS) -> float:
    """Two-sided p of the paired randomisation test: how often do random signs give a mean as far from 0?

    (1 + count) / (1 + draws), which is never 0 and never too small.

    Source: Smucker, Allan and Carterette, "A comparison of statistical significance tests for information
    retrieval evaluation", CIKM 2007; the added ones are Davison and Hinkley, 1997, equation 4.11.

    Args:
        differences: float[queries], tuned - start.
        seed: of the signs.
        draws: sign patterns.
    """
    values = np.asarray(differences, dtype=np.float64)
    # A query that did not change adds 0 under every sign.
    values = values[values != 0.0]
    total = values.sum()
    threshold = abs(total) - _ROUNDING * np.abs(values).sum()
    random = np.random.default_rng(seed)
    count = 0
    for chunk in _chunks(draws, len(values)):
        bits = np.unpackbits(random.integers(0, 256, (chunk, -(-len(values) // 8)), dtype=np.uint8), axis=1)
        # With signs 2b - 1 the sum is twice that of the values whose bit is set, less the total.
        sums = 2.0 * (bits[:, : len(values)].astype(np.float64) @ values) - total
        count += int((np.abs(sums) >= threshold).sum())
    return (1 + count) / (1 + draws)


def _bootstrap(rows: Values, seed: int, level: float, draws: int = BOOTSTRAP_DRAWS) -> list[Interval]:
    """Intervals of the means of float64[rows, queries], all from the same resamples of the queries."""
    num_rows, num_queries = rows.shape
    if num_queries == 0:
        raise ValueError("an interval needs at least one value")
    random = np.random.default_rng(seed)
    # The narrowest type that holds an index: fewer random bits to draw.
    index_type = np.uint16 if num_queries <= np.iinfo(np.uint16).max else np.uint32
    means = np.empty((num_rows, draws))
    done = 0
    for chunk in _chunks(draws, num_queries):
        resample = random.integers(0, num_queries, (chunk, num_queries), dtype=index_type)
        for row in range(num_rows):
            means[row, done : done + chunk] = rows[row][resample].mean(axis=1)
        done += chunk
    tail = (1.0 - level) / 2.0
    return [(float(low), float(high)) for low, high in np.quantile(means, [tail, 1.0 - tail], axis=1).T]


def _chunks(draws: int, width: int) -> Iterator[int]:
    """Numbers of draws that add up to `draws`, each small enough to be held at once."""
    size = max(1, _CHUNK_CELLS // max(1, width))
    for begin in range(0, draws, size):
        yield min(size, draws - begin)
