"""Comparison: intervals that cover, p values that are honest, both repeatable and fast."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest

from hft.errors import DataError
from hft.metrics import Comparison, bootstrap_interval, compare, paired_randomization_p


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
    tuned = start + random.normal(0.1, 0.1, 300)
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
    start = np.random.default_rng(0).random(100)
    found = compare(start, start + 0.01)
    assert found.interval == pytest.approx((0.01, 0.01))
    assert found.p is not None
    assert found.p < 0.001


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


def test_three_thousand_queries_take_under_two_seconds() -> None:
    start, tuned = np.random.default_rng(0).random((2, 3000))
    begin = time.process_time()
    compare(start, tuned)
    # Some 0.4 s of one core; the rest is room for a busy machine.
    assert time.process_time() - begin < 2.0
