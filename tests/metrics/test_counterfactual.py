"""SNIPS: clicks on one order of the lists say what another order is worth, with an interval and what they weigh."""

from __future__ import annotations

import numpy as np
import pytest

from hft.metrics import ClickEstimate, WeightedClicks, click_estimates
from hft.metrics.counterfactual import snips_mean

QUERIES, SESSIONS, LENGTH, ETA = 40, 30, 8, 1.0
PLACES = np.arange(1, LENGTH + 1)


def shown_log(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(`float32[queries, positions]` relevance by shown position, `bool[queries, sessions, positions]` clicks)."""
    relevant = np.random.default_rng(0).random((QUERIES, LENGTH)) < 0.3
    relevant[relevant.sum(axis=1) == 0, 5] = True
    draw = np.random.default_rng(seed).random((QUERIES, SESSIONS, LENGTH))
    return relevant, draw < (relevant / PLACES**ETA)[:, None, :]


def clicks_of(clicked: np.ndarray, eta: float) -> WeightedClicks:
    results = np.flatnonzero(clicked.ravel())
    return WeightedClicks(
        results,
        PLACES.astype(np.float64)[results % LENGTH] ** eta,
        results // (SESSIONS * LENGTH),
        PLACES.astype(np.float64) ** -eta,
    )


OFFSETS = np.arange(QUERIES * SESSIONS + 1, dtype=np.int64) * LENGTH
# The new order: the list turned over.
REVERSED = np.tile(np.arange(LENGTH, dtype=np.float32), QUERIES * SESSIONS)


def truth(relevant: np.ndarray, value: np.ndarray) -> float:
    """Mean over relevant results of a value by place, in the reversed order."""
    return float((relevant * value[::-1]).sum() / relevant.sum())


@pytest.mark.parametrize("k", [3, 8])
def test_the_estimates_are_the_metrics_of_full_information_within_3_standard_errors(k: int) -> None:
    found = {}
    for seed in range(40):
        relevant, clicked = shown_log(seed)
        estimates = click_estimates(clicks_of(clicked, ETA), OFFSETS, REVERSED, None, k=k, higher_is_better=True)
        for name, estimate in estimates.items():
            found.setdefault(name, []).append(estimate.start)
    expected = {
        f"snips_dcg@{k}": truth(relevant, np.where(k >= PLACES, 1 / np.log2(1 + PLACES), 0.0)),
        f"snips_recall@{k}": truth(relevant, (k >= PLACES).astype(float)),
        f"snips_ctr@{k}": truth(relevant, np.where(k >= PLACES, 1.0 / PLACES, 0.0)),
    }
    assert set(found) == set(expected)
    for name, values in found.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - expected[name]) < 3 * error + 1e-9, name


def test_without_weights_the_shown_order_is_flattered() -> None:
    relevant, clicked = shown_log(0)
    naive = click_estimates(clicks_of(clicked, 0.0), OFFSETS, REVERSED, None, k=8, higher_is_better=True)
    expected = truth(relevant, 1 / np.log2(1 + PLACES))
    assert naive["snips_dcg@8"].start < expected - 0.03


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Over logs whose queries are drawn too: 40 queries are few, so that it holds more often than in 95% of 200."""
    held = 0
    value = 1 / np.log2(1 + PLACES)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        relevant = rng.random((QUERIES, LENGTH)) < 0.3
        clicked = rng.random((QUERIES, SESSIONS, LENGTH)) < (relevant / PLACES**ETA)[:, None, :]
        estimates = click_estimates(clicks_of(clicked, ETA), OFFSETS, REVERSED, None, k=8, higher_is_better=True)
        low, high = estimates["snips_dcg@8"].start_interval
        held += low <= value.mean() <= high
    assert held / 200 >= 0.95


def test_the_effective_sample_size_is_that_of_equal_weights() -> None:
    def of(*weights: float) -> float:
        rows = np.arange(len(weights))
        return WeightedClicks(rows, np.array(weights), rows).effective_sample_size

    assert of(2, 2, 2) == pytest.approx(3)
    assert of(1, 0.001, 0.001) == pytest.approx(1, rel=0.01)


def test_a_model_that_ranks_as_shown_is_worth_what_was_shown() -> None:
    clicks = clicks_of(shown_log(1)[1], ETA)
    estimates = click_estimates(clicks, OFFSETS, -REVERSED, REVERSED, k=5, higher_is_better=True)
    for estimate in estimates.values():
        assert estimate.start == pytest.approx(estimate.shown)
        assert estimate.tuned is not None
        assert estimate.difference == pytest.approx(estimate.tuned - estimate.start)
        assert estimate.interval is not None
        assert estimate.interval[0] < estimate.difference < estimate.interval[1]
        assert ClickEstimate.from_dict(estimate.to_dict()) == estimate
    turned = click_estimates(clicks, OFFSETS, REVERSED, None, k=5, higher_is_better=False)
    assert turned["snips_dcg@5"].start == pytest.approx(estimates["snips_dcg@5"].shown)


def test_clicks_of_one_query_are_no_independent_evidence() -> None:
    values = np.tile([0.0, 1.0], 50)
    rows = np.arange(100)
    alone = snips_mean(values, WeightedClicks(rows, np.ones(100), rows))[1]
    two_queries = snips_mean(values, WeightedClicks(rows, np.ones(100), rows % 2))[1]
    assert two_queries[1] - two_queries[0] > 4 * (alone[1] - alone[0])


def test_without_a_click_there_is_no_estimate() -> None:
    none = WeightedClicks(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64))
    assert click_estimates(none, OFFSETS, REVERSED, None, k=5, higher_is_better=True) == {}


@pytest.mark.parametrize("queries", [1, 2, 10])
def test_of_few_queries_the_interval_has_a_width_and_stays_in_range(queries: int) -> None:
    clicks = WeightedClicks(np.arange(queries), np.ones(queries), np.arange(queries))
    mean, (low, high) = snips_mean(np.full(queries, 0.6), clicks)
    assert mean == pytest.approx(0.6)
    assert 0.0 <= low < 0.6 < high <= 1.0
    assert high - low > 0.9 or queries > 1
    _, (low, high) = snips_mean(np.zeros(queries), clicks, -1.0)
    assert -1.0 <= low < 0.0 < high <= 1.0
