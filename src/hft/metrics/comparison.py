"""Start against tuned over the same queries: means, bootstrap intervals, a paired randomisation test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hft.errors import DataError

Values = npt.NDArray[np.float64]
Interval = tuple[float, float]

BOOTSTRAP_DRAWS = 10_000
RANDOMIZATION_DRAWS = 20_000
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
        interval: 95% bootstrap interval of the difference.
        p: two-sided p of the paired randomisation test; None also where the data chose the tuned model.
        queries: queries that count.
        left_out: queries without a relevant item, which no ranking can serve.
        start_interval: 95% bootstrap interval of `start`.
        tuned_interval: 95% bootstrap interval of `tuned`.
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
        (interval,) = _bootstrap(before[known][None, :], seed, level)
        value = float(before[known].mean())
        return Comparison(value, None, None, None, None, queries, left_out, interval, None)
    after = np.asarray(tuned, dtype=np.float64)
    if after.shape != before.shape or (np.isnan(after) == known).any():
        raise ValueError("start and tuned must hold a value for the same queries")
    before, after = before[known], after[known]
    differences = after - before
    # One set of draws serves all three, which costs a third.
    start_interval, tuned_interval, interval = _bootstrap(np.stack([before, after, differences]), seed, level)
    return Comparison(
        start=float(before.mean()),
        tuned=float(after.mean()),
        difference=float(differences.mean()),
        interval=interval,
        p=paired_randomization_p(differences, seed=seed),
        queries=queries,
        left_out=left_out,
        start_interval=start_interval,
        tuned_interval=tuned_interval,
    )


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
