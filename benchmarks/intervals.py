"""How often intervals miss and p errs, by the number of queries and the shape of their differences.

    python benchmarks/intervals.py            # the table of docs/statistics.md, some minutes
    python benchmarks/intervals.py --quick    # whether it works

Every shape has a true mean of 0 and lies between -1 and 1, as differences of NDCG do. A 95% interval should miss 0 in
5% of the samples, and p should be below .05 in 5% of them. The power is how often a gain is found that a test by the
normal distribution would find 80 times in 100.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import numpy.typing as npt

from hft.metrics import bootstrap_interval, paired_randomization_p
from hft.metrics.comparison import is_resampling_trusted
from hft.metrics.mean_bound import lower_bound, two_sided_p

Values = npt.NDArray[np.float64]
QUERIES = (1, 5, 10, 20, 50, 112, 500)
SAMPLES = 1_000
# Of each sample: fewer than hft's, which changes the rates by less than the samples do.
DRAWS = 1_000
LEVEL = 0.95
# Standard errors at which a two-sided test of .05 by the normal distribution has a power of .8.
EFFECT = 1.959964 + 0.841621


def normal(random: np.random.Generator, queries: int) -> Values:
    """Every query changes a little."""
    return random.normal(0.0, 0.2, queries).clip(-1.0, 1.0)


def skewed(random: np.random.Generator, queries: int) -> Values:
    """Many gain a little, some lose more: an exponential's long side."""
    return (0.1 * (1.0 - random.exponential(size=queries))).clip(-1.0, 1.0)


def rare_loss(random: np.random.Generator, queries: int) -> Values:
    """Nearly all gain .02, two in a hundred lose everything."""
    gains = 0.02 / 0.98 + random.normal(0.0, 0.005, queries)
    return np.where(random.random(queries) < 0.02, -1.0, gains)


def sparse(random: np.random.Generator, queries: int) -> Values:
    """Four in five do not change, the others by long-tailed amounts."""
    return np.where(random.random(queries) < 0.2, (0.15 * random.standard_t(3, queries)).clip(-1.0, 1.0), 0.0)


def sparse_and_skewed(random: np.random.Generator, queries: int) -> Values:
    """Most do not change, 15% gain .1, 3% lose .5."""
    return random.choice([-0.5, 0.0, 0.1], size=queries, p=[0.03, 0.82, 0.15])


def all_or_nothing(random: np.random.Generator, queries: int) -> Values:
    """As recall of one relevant item: won, lost or the same."""
    return random.choice([-1.0, 0.0, 1.0], size=queries, p=[0.1, 0.8, 0.1])


SHAPES: tuple[Callable[[np.random.Generator, int], Values], ...] = (
    normal,
    skewed,
    rare_loss,
    sparse,
    sparse_and_skewed,
    all_or_nothing,
)


COLUMNS = (
    "bootstrap misses",
    "randomisation errs",
    "its power",
    "hft misses",
    "hft errs",
    "its power",
    "by the bound",
)


def resampled(values: Values, seed: int) -> tuple[tuple[float, float], float]:
    """The bootstrap's interval and the randomisation test's p."""
    return (
        bootstrap_interval(values, seed=seed, draws=DRAWS),
        paired_randomization_p(values, seed=seed, draws=DRAWS),
    )


def of_hft(values: Values, interval: tuple[float, float], p: float) -> tuple[tuple[float, float], float, bool]:
    """Interval and p by hft's rule from those of resampling, and whether the bound took their place."""
    if is_resampling_trusted(values, -1.0, 1.0, interval, p, LEVEL):
        return interval, p, False
    tail = (1.0 - LEVEL) / 2.0
    return (lower_bound(values, tail), -lower_bound(-values, tail)), two_sided_p(values), True


def rates(case: tuple[Callable[[np.random.Generator, int], Values], int, int]) -> list[float]:
    """Shares over samples of one shape and number of queries."""
    shape, queries, samples = case
    random = np.random.default_rng([queries, SHAPES.index(shape)])
    found = np.zeros(7)
    spread = shape(np.random.default_rng(0), 100_000).std()
    for _ in range(samples):
        values, seed = shape(random, queries), int(random.integers(2**32))
        better = (values + EFFECT * spread / math.sqrt(queries)).clip(-1.0, 1.0)
        (interval, p), gained = resampled(values, seed), resampled(better, seed)
        own_interval, own_p, by_bound = of_hft(values, interval, p)
        found += [
            not interval[0] <= 0.0 <= interval[1],
            p < 1.0 - LEVEL,
            gained[1] < 1.0 - LEVEL,
            not own_interval[0] <= 0.0 <= own_interval[1],
            own_p < 1.0 - LEVEL,
            of_hft(better, *gained)[1] < 1.0 - LEVEL,
            by_bound,
        ]
    return list(found / samples)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 samples instead of 1,000")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    cases = list(product(SHAPES, QUERIES, [20 if args.quick else SAMPLES]))
    with ProcessPoolExecutor(args.jobs) as pool:
        for (shape, queries, _), found in zip(cases, pool.map(rates, cases), strict=True):
            if queries == QUERIES[0]:
                print(f"\n| {shape.__name__.replace('_', ' ')} | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
            print(f"| {queries} | {' | '.join(f'{value:.3f}' for value in found)} |", flush=True)


if __name__ == "__main__":
    main()
