"""NDCG, MRR, Recall, MAP and Precision: equal to ir-measures, vectorised over ragged queries."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, P, R, nDCG

from hft.metrics import (
    MAP,
    MRR,
    NDCG,
    Metric,
    Precision,
    RankedLists,
    Recall,
    rank_lists,
    rank_matrix,
    ranking_depth,
    top_rows,
)

CASES = [
    (NDCG(10), nDCG @ 10),
    (NDCG(3), nDCG @ 3),
    (NDCG(1000), nDCG),
    (MRR(10), RR @ 10),
    (MRR(1), RR @ 1),
    (Recall(10), R @ 10),
    (Recall(2), R @ 2),
    (MAP(), AP),
    (MAP(5), AP @ 5),
    (Precision(10), P @ 10),
    (Precision(1), P @ 1),
]
against_ir_measures = pytest.mark.parametrize(("metric", "oracle"), CASES, ids=lambda value: repr(value))


def oracle_values(
    oracle: ir_measures.Measure, qrels: list[ir_measures.Qrel], run: list[ir_measures.ScoredDoc], queries: int
) -> np.ndarray:
    """float64[queries] by query number, 0 where the oracle says nothing."""
    values = np.zeros(queries)
    for found in oracle.iter_calc(qrels, run):
        values[int(found.query_id)] = found.value
    return values


@against_ir_measures
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shown_lists_equal_ir_measures(metric: Metric, oracle: ir_measures.Measure, seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 40, 60)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    # A permutation has no ties, so that the oracle's own way with ties plays no part.
    scores = random.permutation(offsets[-1]).astype(np.float64)
    gains = random.choice([0, 1, 2, 3], offsets[-1], p=[0.85, 0.05, 0.05, 0.05])
    values = metric(rank_lists(scores, gains, offsets))

    results = [(query, row) for query in range(60) for row in range(offsets[query], offsets[query + 1])]
    qrels = [ir_measures.Qrel(str(query), str(row), int(gains[row])) for query, row in results]
    run = [ir_measures.ScoredDoc(str(query), str(row), scores[row]) for query, row in results]
    expected = oracle_values(oracle, qrels, run, 60)
    has_relevant = np.add.reduceat(gains > 0, offsets[:-1]) > 0
    np.testing.assert_allclose(values[has_relevant], expected[has_relevant], atol=1e-6)
    assert np.isnan(values[~has_relevant]).all()
    assert 0 < has_relevant.sum() < 60


@against_ir_measures
def test_corpus_ranks_equal_ir_measures(metric: Metric, oracle: ir_measures.Measure) -> None:
    random = np.random.default_rng(5)
    queries, items = 40, 150
    scores = random.permutation(queries * items).reshape(queries, items).astype(np.float64)
    judged = [np.sort(random.choice(items, random.integers(1, 30), replace=False)) for _ in range(queries)]
    grades = [random.choice([0, 1, 2], len(rows)) for rows in judged]
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in judged])])
    lists = rank_matrix(top_rows(scores, items), offsets, np.concatenate(judged), np.concatenate(grades))
    values = metric(lists)

    qrels = [
        ir_measures.Qrel(str(query), str(row), int(grade))
        for query in range(queries)
        for row, grade in zip(judged[query], grades[query], strict=True)
    ]
    run = [
        ir_measures.ScoredDoc(str(query), str(row), scores[query, row])
        for query in range(queries)
        for row in range(items)
    ]
    expected = oracle_values(oracle, qrels, run, queries)
    known = ~np.isnan(values)
    np.testing.assert_allclose(values[known], expected[known], atol=1e-6)
    assert known.sum() > 30


def test_ndcg_takes_gains_as_they_are() -> None:
    # 3 at position 2 and 1 at position 1, against 3 first: linear gains, log2 discount.
    value = NDCG(10)(rank_lists([2.0, 1.0], [1.0, 3.0], [0, 2]))
    assert value[0] == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))


def test_recall_counts_relevant_items_that_are_not_among_the_top() -> None:
    lists = rank_matrix([[4, 7]], [0, 4], [7, 1, 2, 3], [1, 1, 1, 1])
    assert Recall(2)(lists)[0] == 0.25


def test_a_query_without_a_relevant_result_is_nan_for_every_metric() -> None:
    lists = rank_lists([1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [0, 2, 3])
    for metric, _ in CASES:
        assert np.isnan(metric(lists)).tolist() == [True, False]


@pytest.mark.parametrize(
    ("metric", "name"),
    [(NDCG(), "ndcg@10"), (MRR(5), "mrr@5"), (Recall(1), "recall@1"), (MAP(), "map"), (MAP(7), "map@7"),
     (Precision(3), "precision@3")],
)  # fmt: skip
def test_a_name_carries_the_cutoff(metric: Metric, name: str) -> None:
    assert metric.name == name


def test_metrics_of_no_query_are_empty() -> None:
    for metric, _ in CASES:
        assert metric(rank_lists([], [], [0])).shape == (0,)


def test_a_metric_of_ones_own_needs_no_cutoff() -> None:
    class Found(Metric):
        base_name = "found"

        def _values(self, lists: RankedLists) -> np.ndarray:
            return (lists.gains > 0).any(axis=1).astype(float)

    metric = Found()
    assert (metric.name, metric.k) == ("found", None)
    lists = rank_lists([2.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0, 2, 3])
    assert metric(lists) == pytest.approx([1.0, np.nan], nan_ok=True)


def test_a_ranking_is_as_deep_as_the_largest_cutoff_and_deepest_without_one() -> None:
    assert ranking_depth([NDCG(3), Recall(250), MRR(10)]) == 250
    assert ranking_depth([NDCG(3), MAP()]) == ranking_depth([object()]) == 1000
