"""Folds: a part of train is validation, the other parts are train, and the rules on leaks hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from docstrings_once import DocstringsOnce
from hft.data import FineTuningInputs, GivenSplitter, GroupSplitter, QuerySplitter, prepare_ranking_data, query_keys
from hft.errors import ConfigError, DataError

Make = Callable[..., FineTuningInputs]
SourceOf = Callable[..., Any]
FOLDS = 3


@pytest.fixture
def source(make_inputs: Make, source_of: SourceOf) -> Any:
    """400 sessions of 200 queries in 40 groups; a query comes in two wordings, half of the queries in two groups."""
    queries = [f"title{n // 2} {'the' if n % 2 else ''}" for n in range(400)]
    groups = [f"g{(n // 10 + (20 if n % 4 == 3 else 0)) % 40}" for n in range(400)]
    splits = [("train", "train", "train", "validation", "test")[n // 2 % 5] for n in range(400)]
    return source_of(make_inputs([(query, "ab", [1, 0]) for query in queries], group=groups, split=splits))


@pytest.mark.parametrize(
    "splitter", [QuerySplitter(), GroupSplitter(), GivenSplitter()], ids=lambda s: type(s).__name__
)
def test_the_folds_are_the_training_part_and_test_stays(splitter: Any, source: Any) -> None:
    whole = prepare_ranking_data(source, splitter, candidates="shown")
    folds = [prepare_ranking_data(source, splitter, candidates="shown", fold=(n, FOLDS)) for n in range(FOLDS)]
    held_out = [set(fold.validation.session_ids) for fold in folds]
    assert set.union(*held_out) == set(whole.train.session_ids)
    assert sum(map(len, held_out)) == len(whole.train)
    assert max(map(len, held_out)) < 2 * min(map(len, held_out))
    for fold in folds:
        assert set(fold.train.session_ids) < set(whole.train.session_ids)
        assert fold.test.table.equals(whole.test.table)
        assert not set(fold.train.session_ids + fold.validation.session_ids) & set(whole.validation.session_ids)


@pytest.mark.parametrize(
    "splitter", [QuerySplitter(), GroupSplitter(), GivenSplitter()], ids=lambda s: type(s).__name__
)
def test_no_query_of_a_fold_is_trained_on_in_any_wording(splitter: Any, source: Any) -> None:
    for number in range(FOLDS):
        fold = prepare_ranking_data(source, splitter, candidates="shown", fold=(number, FOLDS))
        trained = set(query_keys(fold.train.queries))
        assert trained.isdisjoint(query_keys(fold.validation.queries))
        assert trained.isdisjoint(query_keys(fold.test.queries))


def test_groups_are_not_parted(source: Any) -> None:
    fold = prepare_ranking_data(source, GroupSplitter(), candidates="shown", fold=(0, FOLDS))
    groups = [set(part.table.column("group").to_pylist()) for part in (fold.train, fold.validation)]
    assert groups[0].isdisjoint(groups[1])


def test_in_a_corpus_each_fold_has_a_pool_with_what_is_relevant_and_nothing_that_test_needs() -> None:
    whole = prepare_ranking_data(DocstringsOnce(), GroupSplitter(), candidates="corpus")
    fold = prepare_ranking_data(DocstringsOnce(), GroupSplitter(), candidates="corpus", fold=(1, FOLDS))
    labels = fold.validation.labels()
    assert np.isin(labels.rows[labels.grades > 0], fold.pools["validation"]).all()
    of_test = whole.test.labels()
    assert not np.isin(of_test.rows[of_test.grades > 0], fold.pools["validation"]).any()
    assert not np.isin(labels.rows[labels.grades > 0], fold.train.flat_results).any()
    assert fold.test.table.equals(whole.test.table)
    assert np.array_equal(fold.pools["test"], whole.pools["test"])


def test_a_share_of_train_leaves_the_fold_whole(source: Any) -> None:
    whole = prepare_ranking_data(source, QuerySplitter(), candidates="shown", fold=(0, FOLDS))
    part = prepare_ranking_data(source, QuerySplitter(), candidates="shown", fold=(0, FOLDS), train_share=0.5)
    assert part.validation.session_ids == whole.validation.session_ids
    assert set(part.train.session_ids) < set(whole.train.session_ids)


@pytest.mark.parametrize("fold", [(3, 3), (-1, 3), (0, 1)])
def test_a_fold_that_does_not_exist_is_refused(fold: tuple[int, int], source: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.fold=\["):
        prepare_ranking_data(source, QuerySplitter(), candidates="shown", fold=fold)


def test_more_folds_than_queries_are_refused(make_inputs: Make, source_of: SourceOf) -> None:
    inputs = make_inputs([(name, "ab", [1, 0]) for name in "abcd"], split=["train", "train", "validation", "test"])
    with pytest.raises(DataError, match=r"search\.folds=3: the training part has 2 groups"):
        prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown", fold=(0, 3))
