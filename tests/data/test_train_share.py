"""data.train_share: a nested share of the training sessions; nothing else changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstrings_once import DocstringsOnce
from hft.data import (
    FineTuningInputs,
    GivenSplitter,
    GroupSplitter,
    QuerySplitter,
    RankingData,
    prepare_ranking_data,
)
from hft.errors import DataError

Make = Callable[..., FineTuningInputs]
SourceOf = Callable[..., Any]


@pytest.fixture
def source(make_inputs: Make, source_of: SourceOf) -> Any:
    """200 sessions of 100 queries in 20 groups."""
    queries = [f"title{n // 2} {'the' if n % 2 else ''}" for n in range(200)]
    splits = [("train", "train", "train", "validation", "test")[n // 2 % 5] for n in range(200)]
    sessions = [(query, "ab", [1, 0]) for query in queries]
    return source_of(make_inputs(sessions, group=[f"g{n // 10}" for n in range(200)], split=splits))


def sessions(data: RankingData) -> set[str]:
    return set(data.train.session_ids)


@pytest.mark.parametrize(
    "splitter", [QuerySplitter(), GroupSplitter(), GivenSplitter()], ids=lambda s: type(s).__name__
)
def test_a_smaller_share_is_part_of_a_larger_one(splitter: Any, source: Any) -> None:
    shares = [prepare_ranking_data(source, splitter, candidates="shown", train_share=s) for s in (0.2, 0.5, 0.8, 1.0)]
    for smaller, larger in itertools.pairwise(shares):
        assert sessions(smaller) <= sessions(larger)
        assert smaller.validation.session_ids == larger.validation.session_ids
        assert smaller.test.session_ids == larger.test.session_ids
    assert 0 < len(sessions(shares[0])) < len(sessions(shares[1])) < len(sessions(shares[3]))


@given(share=st.floats(min_value=0.3, max_value=0.95))
def test_sessions_of_one_query_stay_together_and_the_share_is_about_right(share: float) -> None:
    whole = prepare_ranking_data(DocstringsOnce(), QuerySplitter(), candidates="shown")
    part = prepare_ranking_data(DocstringsOnce(), QuerySplitter(), candidates="shown", train_share=share)
    kept = set(part.train.queries)
    assert [query for query in whole.train.queries if query in kept] == part.train.queries
    assert abs(len(kept) / len(set(whole.train.queries)) - share) < 0.06


def test_simulated_lists_and_pools_stay_as_they_are() -> None:
    whole = prepare_ranking_data(DocstringsOnce(), GroupSplitter(), candidates="corpus")
    part = prepare_ranking_data(DocstringsOnce(), GroupSplitter(), candidates="corpus", train_share=0.3)
    for name in ("validation", "test"):
        assert part.splits[name].table.equals(whole.splits[name].table)
        assert np.array_equal(part.pools[name], whole.pools[name])
    kept = whole.train.select(np.isin(whole.train.session_ids, part.train.session_ids))
    assert kept.table.equals(part.train.table)


def test_a_share_that_leaves_nothing_says_so(source: Any) -> None:
    with pytest.raises(DataError, match=r"data\.train_share=1e-06: no session with an event is left"):
        prepare_ranking_data(source, QuerySplitter(), candidates="shown", train_share=1e-6)
