from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.data import FineTuningInputs, GivenSplitter, GroupSplitter, ItemsSet, QuerySplitter, query_key, query_keys
from hft.errors import ConfigError, DataError

Make = Callable[..., FineTuningInputs]
NOISE = ["netflix", "movie", "online", "free"]
TITLES = ["insidious", "inception", "brothers grimm", "fantastic four", "i am love", "borat", "up", "alien"]


def inputs_of(queries: list[str], **columns: object) -> FineTuningInputs:
    items = ItemsSet.from_columns(["a", "b"], ["one", "two"])
    count = len(queries)
    return FineTuningInputs.from_columns(
        items,
        [f"s{number}" for number in range(count)],
        queries,
        offsets=np.arange(count + 1, dtype=np.int64) * 2,
        results=np.tile(np.array([0, 1], dtype=np.int32), count),
        events=np.tile(np.array([1, 0], dtype=np.float32), count),
        **columns,
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(TITLES), st.sampled_from(["", " netflix", " Movie", " online free!"])), min_size=1
    )
)
def test_near_duplicate_queries_are_never_in_two_splits(parts: list[tuple[str, str]]) -> None:
    inputs = inputs_of([title + ending for title, ending in parts])
    splits = QuerySplitter(validation=0.3, test=0.3, noise_words=NOISE).assign(inputs, inputs.items)
    by_key: dict[str, set[int]] = {}
    for query, split in zip(inputs.queries, splits.tolist(), strict=True):
        by_key.setdefault(query_key(query, NOISE), set()).add(split)
    assert all(len(found) == 1 for found in by_key.values())


def test_a_query_stays_in_its_split_in_every_batch() -> None:
    monday = [f"query number {number}" for number in range(300)]
    tuesday = [f"{query} netflix" for query in monday[::-3]] + ["something new"]
    splitter = QuerySplitter(noise_words=NOISE)
    first = inputs_of(monday)
    second = inputs_of(tuesday)
    before = dict(zip(query_keys(monday, NOISE), splitter.assign(first, first.items), strict=True))
    after = dict(zip(query_keys(tuesday, NOISE), splitter.assign(second, second.items), strict=True))
    assert all(before[key] == split for key, split in after.items() if key in before)


def test_shares_are_about_as_asked() -> None:
    inputs = inputs_of([f"query number {number}" for number in range(4000)])
    counts = np.bincount(QuerySplitter(validation=0.1, test=0.2).assign(inputs, inputs.items)) / 4000
    # 4 standard deviations of a share of 4,000 draws are below 0.03.
    assert counts == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


def test_a_larger_test_share_only_adds_to_test() -> None:
    inputs = inputs_of([f"query number {number}" for number in range(500)])
    small = QuerySplitter(test=0.2).assign(inputs, inputs.items) == 2
    large = QuerySplitter(test=0.4).assign(inputs, inputs.items) == 2
    assert large[small].all()
    assert large.sum() > small.sum()


def test_a_group_is_in_one_split_as_a_whole() -> None:
    groups = [f"module{number % 40}" for number in range(400)]
    inputs = inputs_of([f"query number {number}" for number in range(400)], group=groups)
    splits = GroupSplitter().assign(inputs, inputs.items)
    by_group: dict[str, set[int]] = {}
    for group, split in zip(groups, splits.tolist(), strict=True):
        by_group.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in by_group.values())
    assert {0, 1, 2} == set(splits.tolist())


def test_groups_are_asked_for_where_there_are_none() -> None:
    inputs = inputs_of(["one", "two"])
    with pytest.raises(DataError, match="data/splitter=by_query"):
        GroupSplitter().assign(inputs, inputs.items)


def test_given_splits_are_taken_and_validation_is_carved_from_train_by_query() -> None:
    queries = [f"query number {number}" for number in range(400)]
    given_splits = ["test" if number % 4 == 0 else "train" for number in range(400)]
    inputs = inputs_of(queries, split=given_splits)
    splits = GivenSplitter(validation=0.2, noise_words=NOISE).assign(inputs, inputs.items)
    assert all((split == 2) == (name == "test") for split, name in zip(splits, given_splits, strict=True))
    assert (splits == 1).sum() == pytest.approx(60, abs=25)
    again = inputs_of([f"{query} netflix" for query in queries], split=given_splits)
    assert np.array_equal(GivenSplitter(validation=0.2, noise_words=NOISE).assign(again, again.items), splits)


def test_a_given_validation_split_is_taken() -> None:
    inputs = inputs_of(["one", "two", "three"], split=["train", "dev", "TEST"])
    assert GivenSplitter().assign(inputs, inputs.items).tolist() == [0, 1, 2]


@pytest.mark.parametrize("names", [[None, None], ["train", "holdout"]])
def test_splits_that_are_not_given_are_told(names: list[str | None]) -> None:
    inputs = inputs_of(["one", "two"], split=names)
    with pytest.raises(DataError, match="data/splitter=by_query"):
        GivenSplitter().assign(inputs, inputs.items)


def test_shares_that_leave_nothing_for_train_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.splitter.*below 1"):
        QuerySplitter(validation=0.5, test=0.5)
