"""Macro-F1, its intervals, and the worst classes, against independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hft.metrics import Accuracy, compared_macro_f1, macro_f1, rank_lists, worst_classes
from hft.metrics.classes import wilson_interval

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)


def by_hand(true: list[int], predicted: list[int]) -> float:
    scores = []
    for name in sorted(set(true)):
        right = sum(t == p == name for t, p in zip(true, predicted, strict=True))
        scores.append(2 * right / (true.count(name) + predicted.count(name)))
    return sum(scores) / len(scores)


@given(pairs)
def test_macro_f1_is_the_mean_of_the_classes_f1(found: list[tuple[int, int]]) -> None:
    true, predicted = (list(column) for column in zip(*found, strict=True))
    assert macro_f1(np.array(true), np.array(predicted), 6) == pytest.approx(by_hand(true, predicted))


def test_macro_f1_equals_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 8, 500), rng.integers(0, 9, 500)
    expected = metrics.f1_score(true, predicted, labels=np.unique(true), average="macro")
    assert macro_f1(true, predicted, 9) == pytest.approx(expected)


def test_the_interval_holds_the_true_value_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    # Each of four classes is recognised with probability .7, else taken for the next one: F1 is .7 of all.
    hits = 0
    for trial in range(100):
        true = rng.integers(0, 4, 300)
        predicted = np.where(rng.random(300) < 0.7, true, (true + 1) % 4)
        low, high = compared_macro_f1((true, None), (predicted, None), 4, seed=trial)["start_interval"]
        hits += low <= 0.7 <= high
    assert 88 <= hits <= 100


def test_a_paired_interval_is_narrower_than_the_two_apart() -> None:
    rng = np.random.default_rng(2)
    true = rng.integers(0, 5, 400)
    before = np.where(rng.random(400) < 0.6, true, (true + 1) % 5)
    after = np.where((before != true) & (rng.random(400) < 0.3), true, before)
    found = compared_macro_f1((true, true), (before, after), 5)
    assert found["difference"] == pytest.approx(found["tuned"] - found["start"])
    low, high = found["interval"]
    assert 0 < low < found["difference"] < high
    assert high - low < found["start_interval"][1] - found["start_interval"][0]


def test_the_same_seed_gives_the_same_interval() -> None:
    true, predicted = np.arange(50) % 3, np.arange(50) % 4 % 3
    first, second = (compared_macro_f1((true, None), (predicted, None), 3, seed=5) for _ in range(2))
    assert first == second
    assert first["tuned"] is None


def test_the_worst_classes_come_first_with_what_they_are_taken_for() -> None:
    true = np.array([0] * 10 + [1] * 4 + [2] * 2)
    predicted = np.array([0] * 9 + [1] + [0, 0, 0, 1] + [2, 2])
    worst = worst_classes(true, predicted, ["a", "b", "c", "never asked"], count=2)
    assert [scores.name for scores in worst] == ["b", "a"]
    bad = worst[0]
    assert (bad.queries, bad.recall, bad.precision) == (4, 0.25, 0.5)
    assert bad.f1 == pytest.approx(2 * 1 / (4 + 2))
    ((name, queries, share, _),) = bad.confused_with
    assert (name, queries, share) == ("a", 3, 0.75)


@pytest.mark.parametrize(("hits", "trials"), [(0, 5), (3, 7), (40, 40), (250, 1000)])
def test_the_interval_of_a_share_is_wilsons(hits: int, trials: int) -> None:
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert wilson_interval(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_accuracy_is_whether_the_first_result_is_relevant() -> None:
    scores = np.array([0.9, 0.1, 0.2, 0.8, 0.3, 0.4], dtype=np.float32)
    gains = np.array([1, 0, 1, 0, 0, 0], dtype=np.float32)
    lists = rank_lists(scores, gains, np.array([0, 2, 4, 6]))
    np.testing.assert_array_equal(Accuracy()(lists), [1.0, 0.0, np.nan])
    assert Accuracy().name == "accuracy"


@pytest.mark.parametrize("queries", [1, 2, 10, 49])
def test_of_few_queries_no_interval_is_without_a_width_even_where_all_are_right(queries: int) -> None:
    true = np.arange(queries) % 2
    found = compared_macro_f1((true, true), (true, true), 2)
    for interval in ("start_interval", "tuned_interval"):
        low, high = found[interval]
        assert low < 1.0 == pytest.approx(high)
    low, high = found["interval"]
    assert low < 0.0 < high
    assert compared_macro_f1((true, None), (true, None), 2)["start_interval"][0] < 1.0
