"""Comparison: intervals that cover, p values that are honest, both repeatable and fast."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest

from hft.errors import DataError
from hft.metrics import Comparison, bootstrap_interval, compare, paired_randomization_p
from hft.metrics.comparison import FEW_QUERIES, SIGNIFICANT_BELOW, is_small_or_skewed


def exact_p(differences: np.ndarray) -> float:
    """Two-sided p over every pattern of signs."""
    means = [np.dot(signs, differences) for signs in itertools.product([-1, 1], repeat=len(differences))]
    return float(np.mean(np.abs(means) >= abs(differences.sum()) - 1e-12))


def test_a_95_percent_interval_holds_the_true_mean_about_95_times_in_100() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(600):
        # Skewed, as values of queries are: Beta(1, 2) with mean 1/3.
        low, high = bootstrap_interval(random.beta(1, 2, 80), seed=trial, draws=1000)
        hits += low <= 1 / 3 <= high
    assert hits / 600 == pytest.approx(0.95, abs=0.025)


def test_a_narrower_level_gives_a_narrower_interval() -> None:
    values = np.random.default_rng(0).random(100)
    wide, narrow = bootstrap_interval(values, level=0.95), bootstrap_interval(values, level=0.5)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


def test_p_is_uniform_where_nothing_changed() -> None:
    random = np.random.default_rng(1)
    found = np.array([paired_randomization_p(random.normal(0, 1, 40), seed=trial, draws=500) for trial in range(800)])
    for level in (0.05, 0.25, 0.5, 0.75):
        assert (found <= level).mean() == pytest.approx(level, abs=0.045)


@pytest.mark.parametrize("seed", range(5))
def test_p_agrees_with_every_pattern_of_signs(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.3, 1.0, 9)
    assert paired_randomization_p(differences, seed=seed) == pytest.approx(exact_p(differences), abs=0.015)


def test_p_counts_patterns_that_only_equal_what_was_found() -> None:
    # Ties are everywhere among few, alike values: 2 of 32 patterns are as far from 0.
    differences = np.array([0.1] * 5)
    assert paired_randomization_p(differences) == pytest.approx(2 / 32, abs=0.01)


def test_p_is_never_zero_and_its_draws_say_how_small_it_can_be() -> None:
    assert paired_randomization_p(np.ones(200), draws=999) == 1 / 1000


def test_p_of_no_change_at_all_is_one() -> None:
    assert paired_randomization_p(np.zeros(50)) == 1.0


def test_p_does_not_depend_on_the_direction() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, 100)
    assert paired_randomization_p(differences) == pytest.approx(paired_randomization_p(-differences), abs=0.02)


def test_a_comparison_says_what_changed() -> None:
    random = np.random.default_rng(0)
    start = random.random(300)
    tuned = start + random.normal(0.2, 0.3, 300)
    found = compare(start, tuned, seed=1)
    assert found.start == pytest.approx(start.mean())
    assert found.tuned == pytest.approx(tuned.mean())
    assert found.difference == pytest.approx((tuned - start).mean())
    assert found.interval is not None
    assert found.tuned_interval is not None
    assert found.interval[0] < found.difference < found.interval[1]
    assert found.start_interval[0] < found.start < found.start_interval[1]
    assert found.tuned_interval[0] < found.tuned < found.tuned_interval[1]
    assert found.p == pytest.approx(1 / 20_001)
    assert found.queries == 300


def test_the_difference_is_judged_by_pairs_not_by_two_means() -> None:
    random = np.random.default_rng(0)
    start = random.random(500)
    found = compare(start, start + random.normal(0.01, 0.1, 500))
    assert found.interval is not None
    assert found.start_interval[1] - found.start_interval[0] > 2 * (found.interval[1] - found.interval[0])


def test_queries_without_a_value_are_left_out_and_counted() -> None:
    found = compare([0.5, np.nan, 0.1], [0.7, np.nan, 0.3])
    assert (found.queries, found.left_out) == (2, 1)
    assert found.difference == pytest.approx(0.2)


def test_one_model_alone_has_a_value_and_an_interval() -> None:
    found = compare([0.5, 0.7, 0.1], None)
    assert found.start == pytest.approx(1.3 / 3)
    assert found.tuned is None
    assert found.p is None


def test_the_same_seed_gives_the_same_comparison() -> None:
    start, tuned = np.random.default_rng(0).random((2, 200))
    assert compare(start, tuned, seed=5) == compare(start, tuned, seed=5)
    assert compare(start, tuned, seed=5) != compare(start, tuned, seed=6)


def test_nothing_to_measure_is_a_data_error() -> None:
    with pytest.raises(DataError, match="none of the 2 queries has a relevant item"):
        compare([np.nan, np.nan], [np.nan, np.nan])


def test_values_of_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="same queries"):
        compare([0.5, np.nan], [np.nan, 0.5])
    with pytest.raises(ValueError, match="same queries"):
        compare([0.5], [0.5, 0.5])


def test_a_comparison_survives_json() -> None:
    for tuned in ([0.4, 0.9], None):
        found = compare([0.1, 0.5], tuned)
        assert Comparison.from_dict(json.loads(json.dumps(found.to_dict()))) == found


SHAPES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda random, n: random.normal(0.05, 0.2, n).clip(-1, 1),
    "skewed": lambda random, n: 0.1 * (1.0 - random.exponential(size=n)).clip(-10, 1),
    "sparse": lambda random, n: np.where(random.random(n) < 0.2, random.uniform(-0.5, 0.5, n), 0.0),
    "all equal": lambda random, n: np.full(n, 0.01),
    "no change": lambda random, n: np.zeros(n),
}


@pytest.mark.parametrize("queries", [1, 2, 10, 49, 50, 112, 500])
@pytest.mark.parametrize("shape", SHAPES)
def test_p_and_interval_give_one_answer_and_no_interval_is_without_a_width(shape: str, queries: int) -> None:
    for seed in range(8):
        random = np.random.default_rng(seed)
        difference = SHAPES[shape](random, queries)
        start = random.uniform(0.0, 1.0, queries)
        found = compare(start, start + difference, seed=seed)
        assert found.interval is not None
        assert found.p is not None
        assert (found.p < SIGNIFICANT_BELOW) == (found.interval[0] > 0.0 or found.interval[1] < 0.0)
        assert found.interval[0] < found.interval[1]
        assert found.interval[0] - 1e-9 <= found.difference <= found.interval[1] + 1e-9
        assert found.start_interval[0] < found.start_interval[1]
        assert ("interval" in found.by_bound) or queries >= FEW_QUERIES


@pytest.mark.parametrize("value", [0.0, 1.0, 0.37, 7.0])
def test_one_query_says_next_to_nothing(value: float) -> None:
    found = compare([value], None)
    assert found.start_interval[1] - found.start_interval[0] > 0.9
    assert found.start_interval[0] <= value <= found.start_interval[1]
    assert found.by_bound == ("start_interval",)
    both = compare([value], [value + 0.2])
    assert both.p is not None
    assert both.p > 0.5


def test_intervals_of_few_queries_cover() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        low, high = compare(np.zeros(10), random.normal(0.2, 0.3, 10), seed=trial).interval or (0.0, 0.0)
        covered += low <= 0.2 <= high
    assert covered / 300 >= 0.93


def test_a_rare_loss_that_the_sample_lacks_makes_no_gain_significant() -> None:
    """A truly equal model: small gains, and a total loss in 2 of 100 queries. 112 queries lack it one time in ten."""
    random = np.random.default_rng(0)
    errors = by_randomisation = 0
    for trial in range(300):
        lost = random.random(112) < 0.02
        difference = np.where(lost, -1.0, 0.02 / 0.98 + random.normal(0.0, 0.005, 112))  # of mean 0
        found = compare((1.0 - difference) / 2, (1.0 + difference) / 2, seed=trial)
        errors += found.p is not None and found.p < SIGNIFICANT_BELOW
        by_randomisation += paired_randomization_p(difference, seed=trial, draws=500) < SIGNIFICANT_BELOW
    assert by_randomisation / 300 > 0.08, "what the bound is for"
    assert errors / 300 <= 0.03


def test_many_and_even_queries_are_resampled() -> None:
    random = np.random.default_rng(0)
    start = random.random(400)
    differences = random.normal(0.05, 0.2, 400)
    found = compare(start, start + differences, seed=3)
    assert found.by_bound == ()
    assert found.p == paired_randomization_p((start + differences) - start, seed=3)
    assert found.interval == bootstrap_interval((start + differences) - start, seed=3)


@pytest.mark.parametrize(
    ("values", "is_bounded"),
    [
        (np.random.default_rng(0).normal(0.0, 0.2, 49), True),
        (np.random.default_rng(0).normal(0.0, 0.2, 60), False),
        (np.random.default_rng(0).normal(0.0, 0.02, 60), True),  # one query lost would tip the mean
        (np.random.default_rng(0).normal(0.0, 0.02, 60_000), False),
        (np.repeat([0.0, -1.0], [490, 10]), True),
        (np.zeros(5_000), True),
    ],
)
def test_small_and_skewed_are_told_by_named_limits(values: np.ndarray, is_bounded: bool) -> None:
    assert is_small_or_skewed(values, -1.0, 1.0) == is_bounded
