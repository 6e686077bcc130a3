"""Ranking: order, seeded ties, ragged lists, judgements of a corpus."""

from __future__ import annotations

import numpy as np
import pytest

from hft.errors import TrainingError
from hft.metrics import MRR, NDCG, Recall, rank_lists, rank_matrix, top_rows


def test_a_similarity_ranks_the_highest_first_and_a_distance_the_lowest() -> None:
    scores, gains = [0.1, 0.9, 0.5], [1.0, 2.0, 3.0]
    assert rank_lists(scores, gains, [0, 3]).gains.tolist() == [[2.0, 3.0, 1.0]]
    assert rank_lists(scores, gains, [0, 3], higher_is_better=False).gains.tolist() == [[1.0, 3.0, 2.0]]


def test_lists_of_different_lengths_are_padded_with_nothing() -> None:
    lists = rank_lists([3.0, 2.0, 1.0, 5.0], [0.0, 1.0, 1.0, 2.0], [0, 3, 3, 4])
    assert lists.gains.tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
    assert lists.ideal_gains.tolist() == [[1.0, 1.0], [0.0, 0.0], [2.0, 0.0]]
    assert lists.num_relevant.tolist() == [2, 0, 1]


def test_gains_below_zero_count_as_zero() -> None:
    lists = rank_lists([2.0, 1.0], [-1.0, 1.0], [0, 2])
    assert lists.gains.tolist() == [[0.0, 1.0]]
    assert lists.num_relevant.tolist() == [1]


@pytest.mark.parametrize("metric", [NDCG(10), MRR(10)])
def test_a_constant_scorer_gets_the_random_value_not_the_files_order(metric: NDCG | MRR) -> None:
    # The relevant result always stands first in the file: a stable sort would score 1.
    queries, results = 4000, 10
    offsets = np.arange(queries + 1) * results
    gains = np.tile([1.0] + [0.0] * (results - 1), queries)
    random = metric(rank_lists(np.random.default_rng(9).random(len(gains)), gains, offsets)).mean()
    constant = metric(rank_lists(np.zeros(len(gains)), gains, offsets, seed=3)).mean()
    assert constant == pytest.approx(random, abs=0.02)


def test_the_draw_among_equals_comes_from_the_seed() -> None:
    gains = np.arange(50.0)
    draws = [rank_lists(np.zeros(50), gains, [0, 50], seed=seed).gains.tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_only_equals_are_drawn() -> None:
    lists = rank_lists([1.0, 0.0, 1.0, 2.0], [10.0, 20.0, 30.0, 40.0], [0, 4], seed=4)
    assert lists.gains[0, 0] == 40.0
    assert set(lists.gains[0, 1:3].tolist()) == {10.0, 30.0}
    assert lists.gains[0, 3] == 20.0


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(TrainingError, match="1 of 3 scores"):
        rank_lists([1.0, np.nan, 0.0], [1.0, 0.0, 0.0], [0, 3])
    with pytest.raises(TrainingError, match="not numbers"):
        top_rows(np.array([[1.0, np.nan, 0.0]]), 2)


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        rank_lists([1.0, 2.0], [1.0], [0, 2])
    with pytest.raises(ValueError, match="do not fit"):
        rank_matrix([[0, 1]], [0, 1, 2], [0, 1], [1, 1])


def test_rank_matrix_finds_each_querys_own_judgements() -> None:
    # Rows 5 and 2 are judged by both queries, differently, and in no order.
    lists = rank_matrix([[5, 2, 9], [2, 5, -1]], [0, 3, 5], [9, 5, 2, 5, 2], [3, 1, 0, 0, 2])
    assert lists.gains.tolist() == [[1.0, 0.0, 3.0], [2.0, 0.0, 0.0]]
    assert lists.ideal_gains.tolist() == [[3.0, 1.0], [2.0, 0.0]]
    assert lists.num_relevant.tolist() == [2, 1]


def test_the_end_of_a_ranking_is_no_judged_row() -> None:
    # -1 of the second query would fall on the last row of the first.
    lists = rank_matrix([[0, 1], [0, -1]], [0, 1, 2], [1, 0], [1, 1])
    assert lists.gains.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_judgements_outside_the_pool_are_left_out() -> None:
    given = ([[1], [1]], [0, 2, 3], [1, 8, 8], [1, 1, 1])
    assert Recall(1)(rank_matrix(*given)).tolist() == [0.5, 0.0]
    lists = rank_matrix(*given, pool=[0, 1, 2])
    assert Recall(1)(lists)[0] == 1.0
    assert lists.num_relevant.tolist() == [1, 0]


def test_a_row_judged_twice_counts_once_with_its_best_grade() -> None:
    lists = rank_matrix([[3, 0]], [0, 3], [3, 3, 0], [1, 2, 1])
    assert lists.gains.tolist() == [[2.0, 1.0]]
    assert lists.num_relevant.tolist() == [2]


def test_a_row_ranked_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="same row twice"):
        rank_matrix([[3, 3]], [0, 1], [3], [1])


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_top_rows_are_those_of_a_full_sort(higher_is_better: bool) -> None:
    scores = np.random.default_rng(0).random((20, 300))
    rows = np.random.default_rng(1).permutation(1000)[:300]
    order = np.argsort(-scores if higher_is_better else scores, axis=1)
    found = top_rows(scores, 7, rows=rows, higher_is_better=higher_is_better)
    assert found.tolist() == rows[order[:, :7]].tolist()


def test_top_rows_draw_among_equals_at_the_border_too() -> None:
    # One clear winner, then 99 equals of which two are kept: each as likely as another, within a query.
    scores = np.zeros((5000, 100))
    scores[:, 40] = 1.0
    found = top_rows(scores, 3, seed=2)
    assert (found[:, 0] == 40).all()
    drawn = np.bincount(found[:, 1:].ravel(), minlength=100)
    others = np.delete(drawn, 40)
    assert others.sum() == 10_000
    assert others.min() > 50
    assert others.max() < 160


def test_top_rows_give_all_there_is_where_depth_is_more() -> None:
    assert top_rows(np.array([[1.0, 3.0, 2.0]]), 10).tolist() == [[1, 2, 0]]
