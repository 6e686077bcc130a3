"""Splitters by time, user, item and stratum: what each holds out, that it stays held out, what it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hft.data import (
    ClickLog,
    FineTuningInputs,
    ItemsSet,
    StratifiedSplitter,
    TimeSplitter,
    UnseenItemsSplitter,
    UserSplitter,
    prepare_ranking_data,
)
from hft.errors import ConfigError, DataError

Make = Callable[..., FineTuningInputs]


def log(make: Make, count: int = 300, **columns: Any) -> FineTuningInputs:
    """Sessions of 60 queries, each asked again and again."""
    return make([(f"query {n % 60}", "abc", [1, 0, 0]) for n in range(count)], **columns)


def shuffled(count: int) -> list[float]:
    return [float(n * 77 % count) for n in range(count)]


# ------------------------------------------------------------------ time


def test_validation_is_later_than_train_and_test_later_than_both(make_inputs: Make, source_of: Any) -> None:
    inputs = log(make_inputs, timestamp=shuffled(300))
    data = prepare_ranking_data(source_of(inputs), TimeSplitter(0.1, 0.2), candidates="shown")
    assert [len(part) for part in data.splits.values()] == [210, 30, 60]
    assert data.train.timestamps.max() < data.validation.timestamps.min()
    assert data.validation.timestamps.max() < data.test.timestamps.min()
    assert set(data.test.queries) & set(data.train.queries)
    [note] = [line for line in data.report.lines() if line.startswith("split by time")]
    assert "data.splitter.test_from" in note
    assert any(line.startswith("train may have queries of validation and test") for line in data.report.lines())


def test_sessions_of_one_moment_are_in_one_split(make_inputs: Make, items: ItemsSet) -> None:
    inputs = log(make_inputs, timestamp=[float(n // 45) for n in range(300)])
    assigned = TimeSplitter(0.2, 0.3).assign(inputs, items)
    splits = {time: set(assigned[inputs.timestamps == time].tolist()) for time in set(inputs.timestamps.tolist())}
    assert all(len(found) == 1 for found in splits.values())
    assert set(assigned.tolist()) == {0, 1, 2}


def test_dates_hold_out_the_same_sessions_however_the_log_grows(make_inputs: Make, items: ItemsSet) -> None:
    splitter = TimeSplitter(validation_from="1970-01-01T00:03:00", test_from=240)
    small = log(make_inputs, 270, timestamp=[float(n) for n in range(270)])
    large = log(make_inputs, 300, timestamp=[float(n) for n in range(300)])
    assert splitter.assign(small, items).tolist() == splitter.assign(large, items)[:270].tolist()
    assert splitter.assign(large, items).tolist() == [0] * 180 + [1] * 60 + [2] * 60


def test_what_a_batch_holds_out_stays_held_out_where_all_batches_are_read(make_inputs: Make, source_of: Any) -> None:
    batches = [str(n // 100) for n in range(300)]
    inputs = log(make_inputs, timestamp=[float(n) for n in range(300)], batch_id=batches)

    def held_out(**options: Any) -> dict[str, set[str]]:
        data = prepare_ranking_data(source_of(inputs), TimeSplitter(), candidates="shown", **options)
        return {name: set(part.session_ids) for name, part in data.splits.items()}

    whole = held_out()
    for batch in ("0", "1", "2"):
        for name, sessions in held_out(batch_id=batch).items():
            assert sessions <= whole[name]
    together = TimeSplitter(each_batch=False).assign(inputs, inputs.items)
    assert together.tolist() == [0] * 210 + [1] * 30 + [2] * 60


def test_sessions_without_a_time_are_left_out_and_counted(make_inputs: Make, source_of: Any) -> None:
    times = [None if n % 10 == 0 else float(n) for n in range(300)]
    data = prepare_ranking_data(source_of(log(make_inputs, timestamp=times)), TimeSplitter(), candidates="shown")
    assert data.report.dropped == {TimeSplitter.left_out_reason: 30}
    with pytest.raises(DataError, match=r"none of 300 has a timestamp.*data.source.fields.timestamp.*by_query"):
        prepare_ranking_data(source_of(log(make_inputs)), TimeSplitter(), candidates="shown")


def test_queries_of_test_can_be_kept_out_of_train_by_time_too(make_inputs: Make, source_of: Any) -> None:
    sessions = [(f"query {n if n % 3 else n % 30}", "abc", [1, 0, 0]) for n in range(300)]
    inputs = make_inputs(sessions, timestamp=[float(n) for n in range(300)])
    data = prepare_ranking_data(source_of(inputs), TimeSplitter(seen_queries=False), candidates="shown")
    assert not set(data.test.queries) & (set(data.train.queries) | set(data.validation.queries))
    assert data.report.dropped["sessions whose query is held out from their split"] > 0
    assert data.report.leakage["test"]["queries_near_seen"] == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"test_from": "2026-01-01"}, "data.splitter.validation_from.*Give both"),
        ({"validation_from": "2026-01-01"}, "data.splitter.test_from.*Give both"),
        ({"validation_from": "2026-02-01", "test_from": "2026-01-01"}, "not after validation_from"),
        ({"validation_from": "soon", "test_from": "2026-01-01"}, "data.splitter.validation_from: found 'soon'"),
        ({"validation": 0.5, "test": 0.5}, "leave nothing for train"),
    ],
)
def test_dates_and_shares_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        TimeSplitter(**options)


# ------------------------------------------------------------------ user


def test_all_sessions_of_a_user_are_in_one_split_in_every_batch(make_inputs: Make, source_of: Any) -> None:
    users = [f"user {n % 50}" for n in range(300)]
    inputs = log(make_inputs, user_id=users, batch_id=[str(n % 2) for n in range(300)])
    whole = prepare_ranking_data(source_of(inputs), UserSplitter(), candidates="shown")
    of_split = {name: set(part.table.column("user_id").to_pylist()) for name, part in whole.splits.items()}
    assert set.union(*of_split.values()) == set(users)
    assert sum(map(len, of_split.values())) == 50
    batch = prepare_ranking_data(source_of(inputs), UserSplitter(), candidates="shown", batch_id="1")
    for name, part in batch.splits.items():
        assert set(part.table.column("user_id").to_pylist()) <= of_split[name]
    assert whole.report.leakage["test"]["users_seen"] == 0
    assert whole.report.leakage["test"]["queries_seen"] > 0


def test_sessions_without_a_user_are_refused_or_dropped(make_inputs: Make, source_of: Any) -> None:
    inputs = log(make_inputs, user_id=[None if n % 3 == 0 else f"user {n % 50}" for n in range(300)])
    with pytest.raises(DataError, match=r"100 of 300 have none.*data.source.fields.user_id.*anonymous=drop.*by_query"):
        prepare_ranking_data(source_of(inputs), UserSplitter(), candidates="shown")
    data = prepare_ranking_data(source_of(inputs), UserSplitter(anonymous="drop"), candidates="shown")
    assert data.report.dropped == {UserSplitter.left_out_reason: 100}
    with pytest.raises(DataError, match="300 of 300 have none"):
        prepare_ranking_data(source_of(log(make_inputs)), UserSplitter(anonymous="drop"), candidates="shown")


# ------------------------------------------------------------------ item


@pytest.fixture
def many_items() -> FineTuningInputs:
    """600 sessions of 12 results among 100 items, two picked of each, with ranks and dwell."""
    items = ItemsSet.from_columns([f"i{n}" for n in range(100)], [f"text {n}" for n in range(100)])
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.choice(100, 12, replace=False) for _ in range(600)]).astype(np.int32)
    events = np.tile(np.array([0, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0], dtype=np.float32), 600)
    ranks = [None if n % 2 else [float(place) for place in range(12)] for n in range(600)]
    return FineTuningInputs.from_columns(
        items,
        [f"s{n}" for n in range(600)],
        [f"query {n}" for n in range(600)],
        offsets=np.arange(601, dtype=np.int64) * 12,
        results=rows,
        events=events,
        ranks=pa.array(ranks, type=pa.list_(pa.float32())),
        dwell=pa.array([[None, 5.0, *[None] * 10] if n % 3 else None for n in range(600)], type=pa.list_(pa.float32())),
    )


def test_no_item_of_test_or_validation_is_in_a_training_list(many_items: FineTuningInputs, source_of: Any) -> None:
    data = prepare_ranking_data(source_of(many_items), UnseenItemsSplitter(0.2, 0.3), candidates="shown")
    shown = {name: set(part.flat_results.tolist()) for name, part in data.splits.items()}
    assert not shown["test"] & shown["train"]
    assert not shown["validation"] & shown["train"]
    assert not shown["validation"] & shown["test"]
    assert all(len(part) > 20 for part in data.splits.values())
    assert data.report.leakage["test"]["items_shown"] == 0
    assert all((np.diff(part.offsets) >= 2).all() for part in data.splits.values())


def test_whole_lists_keep_known_items_beside_the_new_ones(many_items: FineTuningInputs, source_of: Any) -> None:
    splitter = UnseenItemsSplitter(0.2, 0.3, lists="whole")
    data = prepare_ranking_data(source_of(many_items), splitter, candidates="shown")
    splits = splitter.item_splits(data.items)
    assert (np.diff(data.test.offsets) == 12).all()
    assert set(splits[data.train.flat_results].tolist()) == {0}
    assert (splits[data.test.flat_results] == 2).any()


def test_what_stands_beside_a_result_is_cut_with_it(many_items: FineTuningInputs, source_of: Any) -> None:
    data = prepare_ranking_data(source_of(many_items), UnseenItemsSplitter(0.2, 0.3), candidates="shown")
    before = {session.session_id: session for session in many_items}
    for session in data.train:
        whole = before[session.session_id]
        places = [whole.results.index(item) for item in session.results]
        assert session.events == tuple(whole.events[place] for place in places)
        assert session.ranks == (None if whole.ranks is None else tuple(whole.ranks[place] for place in places))
        assert session.dwell == (None if whole.dwell is None else tuple(whole.dwell[place] for place in places))


def test_a_list_that_is_cut_says_where_its_results_stood(many_items: FineTuningInputs, source_of: Any) -> None:
    data = prepare_ranking_data(source_of(many_items), UnseenItemsSplitter(0.2, 0.3), candidates="shown")
    before = {session.session_id: session for session in many_items}
    for part in data.splits.values():
        stood = [before[session.session_id].results.index(item) for session in part for item in session.results]
        assert part.flat_positions.tolist() == stood
        assert ClickLog.of(part).positions.tolist() == stood
    assert not many_items.is_cut
    assert many_items.flat_positions.tolist() == list(range(12)) * 600
    whole = UnseenItemsSplitter(0.2, 0.3, lists="whole")
    test = prepare_ranking_data(source_of(many_items), whole, candidates="shown").test
    assert ClickLog.of(test).positions.tolist() == list(range(12)) * len(test)


def test_an_item_is_in_the_same_split_whatever_else_there_is(many_items: FineTuningInputs) -> None:
    splits = UnseenItemsSplitter().item_splits(many_items.items)
    part = many_items.items.subset([5, 3, 99])
    assert UnseenItemsSplitter().item_splits(part).tolist() == splits[[5, 3, 99]].tolist()
    assert UnseenItemsSplitter(salt="another").item_splits(many_items.items).tolist() != splits.tolist()


def test_simulated_lists_show_items_of_their_split_only() -> None:
    from hft.data import PythonDocs

    splitter = UnseenItemsSplitter(0.2, 0.3)
    data = prepare_ranking_data(PythonDocs(), splitter, candidates="corpus", limit_sessions=150)
    splits = splitter.item_splits(data.items)
    for number, part in enumerate(data.splits.values()):
        assert set(splits[part.flat_results].tolist()) == {number}
        assert set(splits[part.flat_judged[part.flat_grades > 0]].tolist()) == {number}


def test_folds_of_train_hold_items_of_train(many_items: FineTuningInputs, source_of: Any) -> None:
    splitter = UnseenItemsSplitter(0.2, 0.3)
    data = prepare_ranking_data(source_of(many_items), splitter, candidates="shown", fold=(0, 3))
    splits = splitter.item_splits(data.items)
    assert set(splits[data.validation.flat_results].tolist()) == {0}
    assert not set(data.validation.session_ids) & set(data.train.session_ids)


# ------------------------------------------------------------------ stratified


def stratified(make: Make, **columns: Any) -> FineTuningInputs:
    """Strata of 200, 60, 20 and 5 queries, with two sessions each."""
    sizes = {"us": 200, "de": 60, "fr": 20, None: 5}
    names = [(f"{country} query {n}", country) for country, size in sizes.items() for n in range(size)] * 2
    return make([(name, "ab", [1, 0]) for name, _ in names], group=[country for _, country in names], **columns)


def test_each_stratum_gives_its_share_and_a_query_stays_together(make_inputs: Make, items: ItemsSet) -> None:
    inputs = stratified(make_inputs)
    assigned = StratifiedSplitter("group", 0.1, 0.2).assign(inputs, items)
    split_of: dict[str, set[int]] = {}
    for query, split in zip(inputs.queries, assigned.tolist(), strict=True):
        split_of.setdefault(query, set()).add(split)
    assert all(len(found) == 1 for found in split_of.values())
    counts = Counter((query.split()[0], *found) for query, found in split_of.items())
    for country, size in {"us": 200, "de": 60, "fr": 20, "None": 5}.items():
        assert abs(counts[country, 2] - 0.2 * size) <= 1
        assert abs(counts[country, 1] - 0.1 * size) <= 1


def test_where_sessions_come_in_batches_each_query_is_drawn_for_itself(make_inputs: Make, items: ItemsSet) -> None:
    inputs = stratified(make_inputs, batch_id=["1"] * 285 + ["2"] * 285)
    splitter = StratifiedSplitter()
    whole = splitter.assign(inputs, items)
    assert splitter.assign(inputs.select(np.arange(40, 90)), items).tolist() == whole[40:90].tolist()
    assert "in the mean" in splitter.notes(inputs, whole)[0]
    exact = StratifiedSplitter(exact=True)
    assert exact.assign(inputs, items).tolist() == StratifiedSplitter().assign(stratified(make_inputs), items).tolist()


def test_a_log_without_the_field_is_refused_with_the_key_that_names_it(make_inputs: Make, items: ItemsSet) -> None:
    with pytest.raises(DataError, match=r"data.splitter.field.*data.source.fields.sort_by.*by_query"):
        StratifiedSplitter("sort_by").assign(log(make_inputs), items)
