"""Batches of clickstream: one is taken, and a log without any is cut into some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hft.data import FineTuningInputs, QuerySplitter, prepare_ranking_data
from hft.errors import DataError

Make = Callable[..., FineTuningInputs]
SourceOf = Callable[..., Any]


@pytest.fixture
def source(make_inputs: Make, source_of: SourceOf) -> Any:
    """240 sessions of 120 queries; a query comes in two wordings."""
    queries = [f"title{n // 2} {'the' if n % 2 else ''}" for n in range(240)]
    return source_of(make_inputs([(query, "ab", [1, 0]) for query in queries]))


def prepared(source: Any, **options: Any) -> Any:
    return prepare_ranking_data(source, QuerySplitter(validation=0.2, test=0.3), candidates="shown", **options)


def sessions_of(data: Any) -> set[str]:
    return {name for split in data.splits.values() for name in split.session_ids}


def test_made_batches_part_the_sessions_and_keep_near_duplicate_queries_together(source: Any) -> None:
    batches = [prepared(source, num_batches=3, batch_id=batch) for batch in (0, "1", 2)]
    assert set.union(*map(sessions_of, batches)) == sessions_of(prepared(source))
    assert sum(len(sessions_of(batch)) for batch in batches) == 240
    keys = [{query.split()[0] for split in b.splits.values() for query in split.queries} for b in batches]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]  # noqa: PT018 - one statement
    assert min(map(len, keys)) > 20


def test_a_session_is_in_the_same_split_in_every_batch(source: Any) -> None:
    whole, batch = prepared(source), prepared(source, num_batches=3, batch_id=1)
    for name, split in batch.splits.items():
        assert set(split.session_ids) <= set(whole.splits[name].session_ids)


def test_batches_are_not_made_of_sessions_that_have_some(make_inputs: Make, source_of: SourceOf) -> None:
    rows = [(f"query{n}", "ab", [1, 0]) for n in range(40)]
    source = source_of(make_inputs(rows, batch_id=["may"] * 40))
    with pytest.raises(DataError, match=r"data\.num_batches: the sessions have batch ids of their own"):
        prepared(source, num_batches=2)


def test_a_batch_of_sessions_that_have_none_is_refused_with_the_way_out(source: Any) -> None:
    with pytest.raises(DataError, match=r"data\.num_batches=3"):
        prepared(source, batch_id="may")
