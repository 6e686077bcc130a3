"""What random order is worth: the closed forms against every permutation, and draws where there is none."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from hft.metrics import MAP, MRR, NDCG, Accuracy, Metric, Precision, RankedLists, Recall, rank_lists, rank_matrix
from hft.metrics.baselines import expected_at_random

METRICS: list[Metric] = [
    *(kind(k) for kind in (NDCG, MRR, Recall, Precision, MAP) for k in (1, 2, 3, 10)),
    MAP(),
    Accuracy(),
]
LISTS = [
    [1.0],
    [0.0, 1.0],
    [1.0, 1.0, 1.0],
    [3.0, 0.0, 1.0, 0.0],
    [0.0, 0.5, 10.0, 0.0, 1.0],
    [0.0, 0.0, 0.0, 0.0, 1.0, 2.0],
]

Order = npt.NDArray[np.int64]


def shown(gains: list[float], order: Order) -> RankedLists:
    scores = np.empty(len(gains))
    scores[order] = -np.arange(len(gains))
    return rank_lists(scores, gains, [0, len(gains)])


def pooled(gains: list[float], order: Order, depth: int) -> RankedLists:
    """A pool of which only some items are judged; an item outside of the pool is relevant too, and cannot be found."""
    judged = [row for row, gain in enumerate(gains) if gain] + [99]
    grades = [gains[row] for row in judged[:-1]] + [5.0]
    return rank_matrix(order[None, :depth], [0, len(judged)], judged, grades, pool=np.arange(len(gains)))


def mean_over_permutations(metric: Metric, rank: Callable[[Order], RankedLists], size: int) -> float:
    return float(np.mean([metric(rank(np.array(order)))[0] for order in itertools.permutations(range(size))]))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("gains", LISTS, ids=str)
def test_it_is_the_mean_over_all_permutations_of_a_shown_list(metric: Metric, gains: list[float]) -> None:
    found, draws = expected_at_random(
        metric, lambda seed: shown(gains, np.random.default_rng(seed).permutation(len(gains))), np.array([len(gains)])
    )
    expected = mean_over_permutations(metric, lambda order: shown(gains, order), len(gains))
    assert found[0] == pytest.approx(expected, rel=1e-12)
    assert draws == 0


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("depth", [3, 6])
def test_it_is_the_mean_over_all_permutations_of_a_pool_ranked_to_a_depth(metric: Metric, depth: int) -> None:
    if metric.k is not None and metric.k > depth:
        pytest.skip("a ranking is as deep as the largest cutoff")
    gains = [0.0, 3.0, 0.0, 1.0, 0.0, 0.0]
    found, _ = expected_at_random(
        metric, lambda seed: pooled(gains, np.random.default_rng(seed).permutation(6), depth), np.array([6])
    )
    expected = mean_over_permutations(metric, lambda order: pooled(gains, order, depth), 6)
    assert found[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_lists_of_several_lengths_are_worth_what_each_is_alone(metric: Metric) -> None:
    lists = [*LISTS, [0.0, 0.0]]
    offsets = np.cumsum([0, *map(len, lists)])
    found, _ = expected_at_random(
        metric,
        lambda seed: rank_lists(np.random.default_rng(seed).random(offsets[-1]), np.concatenate(lists), offsets),
        np.diff(offsets),
    )
    alone = [
        expected_at_random(metric, lambda _, gains=gains: shown(gains, np.arange(len(gains))), np.array([len(gains)]))
        for gains in LISTS
    ]
    assert found[:-1].tolist() == pytest.approx([one[0][0] for one in alone])
    assert np.isnan(found[-1]), "a query without a relevant item has no value"


class LastPlace(Metric):
    """Place of the last relevant result: no closed form is given."""

    base_name = "last"

    def _values(self, lists: RankedLists) -> npt.NDArray[np.float64]:
        hits = lists.gains > 0
        return np.asarray(hits.shape[1] - hits[:, ::-1].argmax(axis=1), dtype=np.float64)


class SquaredRecall(Recall):
    """Another formula under a parent that has an expectation of its own."""

    def _values(self, lists: RankedLists) -> npt.NDArray[np.float64]:
        return super()._values(lists) ** 2


@pytest.mark.parametrize("metric", [LastPlace(), SquaredRecall(2)], ids=lambda metric: metric.name)
def test_a_metric_without_a_closed_form_is_a_seeded_mean_of_many_orders(metric: Metric) -> None:
    gains, queries = [3.0, 0.0, 1.0, 0.0], 100
    offsets = np.arange(0, 4 * queries + 1, 4)

    def drawn(seed: int) -> RankedLists:
        return rank_lists(np.random.default_rng(seed).random(4 * queries), np.tile(gains, queries), offsets)

    values, draws = expected_at_random(metric, drawn, np.diff(offsets), 0)
    expected = mean_over_permutations(metric, lambda order: shown(gains, order), 4)
    assert draws * queries >= 10_000
    assert values.mean() == pytest.approx(expected, rel=0.03)
    assert values.tolist() == expected_at_random(metric, drawn, np.diff(offsets), 0)[0].tolist()
