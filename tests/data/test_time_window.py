"""A window of time takes sessions by their timestamp, alone and within a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hft.config import check
from hft.data import FineTuningInputs, QuerySplitter, prepare_ranking_data
from hft.errors import ConfigError, DataError

Make = Callable[..., FineTuningInputs]
DAY = 86_400.0


def log(make: Make, **columns: Any) -> FineTuningInputs:
    """200 sessions, ten a day from 1970-01-01 on, out of order; each fifth has no timestamp."""
    sessions = [(f"query {n}", "abc", [1, 0, 0]) for n in range(200)]
    times = [None if n % 5 == 4 else (n * 37 % 200) / 10 * DAY for n in range(200)]
    return make(sessions, timestamp=times, **columns)


def prepared(inputs: FineTuningInputs, source_of: Any, window: Any, **options: Any) -> Any:
    splitter = QuerySplitter(validation=0.2, test=0.3)
    return prepare_ranking_data(source_of(inputs), splitter, candidates="shown", time_window=window, **options)


def taken(data: Any) -> list[float]:
    return sorted(time for part in data.splits.values() for time in part.timestamps.tolist())


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        (["1970-01-06", "1970-01-16"], 5 * DAY, 15 * DAY),
        ([5 * DAY, "1296000"], 5 * DAY, 15 * DAY),
        ([None, "1970-01-11T00:00:00Z"], 0.0, 10 * DAY),
        (["1970-01-11T01:00:00+01:00", None], 10 * DAY, 20 * DAY),
    ],
)
def test_the_start_is_taken_in_and_the_end_is_not(
    window: Any, first: float, last: float, make_inputs: Make, source_of: Any
) -> None:
    inputs = log(make_inputs)
    data = prepared(inputs, source_of, window)
    expected = sorted(time for time in inputs.timestamps.tolist() if first <= time < last)
    assert taken(data) == expected
    assert data.report.dropped["sessions without a timestamp, of which the time window cannot tell"] == 40
    assert data.report.dropped["sessions outside the time window"] == 160 - len(expected)


def test_a_batch_and_a_window_are_taken_together(make_inputs: Make, source_of: Any) -> None:
    inputs = log(make_inputs, batch_id=["odd" if n % 2 else "even" for n in range(200)])
    data = prepared(inputs, source_of, ["1970-01-06", "1970-01-16"], batch_id="odd")
    both = [time for number, time in enumerate(inputs.timestamps.tolist()) if number % 2 and 5 * DAY <= time < 15 * DAY]
    assert taken(data) == sorted(both)
    assert {batch for part in data.splits.values() for batch in part.table.column("batch_id").to_pylist()} == {"odd"}
    with pytest.raises(DataError, match="Batches there: even, odd"):
        prepared(inputs, source_of, ["1970-01-06", "1970-01-16"], batch_id="none")


def test_what_a_window_holds_out_is_what_the_whole_log_holds_out(make_inputs: Make, source_of: Any) -> None:
    inputs = log(make_inputs)
    whole = prepared(inputs, source_of, None)
    part = prepared(inputs, source_of, ["1970-01-06", "1970-01-16"])
    for name, sessions in part.splits.items():
        assert set(sessions.session_ids) <= set(whole.splits[name].session_ids)


def test_a_window_that_leaves_nothing_names_the_times_that_there_are(make_inputs: Make, source_of: Any) -> None:
    with pytest.raises(DataError, match=r"no session is in 2026-01-01 00:00:00 to any time.*1970-01-"):
        prepared(log(make_inputs), source_of, ["2026-01-01", None])
    without = make_inputs([("a", "ab", [1, 0])])
    with pytest.raises(DataError, match=r"none of the 1 sessions has a timestamp.*data.source.fields.timestamp"):
        prepared(without, source_of, ["2026-01-01", None])


@pytest.mark.parametrize(
    ("window", "told"),
    [
        (["2026-02-01", "2026-01-01"], "not after its start"),
        (["2026-01-01", "2026-01-01"], "not after its start"),
        (["soon", None], "'soon'"),
        (["2026-01-01"], "expected \\[from, to\\]"),
        ("2026-01-01", "expected \\[from, to\\]"),
    ],
)
def test_a_window_that_is_none_is_refused(window: Any, told: str, make_inputs: Make, source_of: Any) -> None:
    with pytest.raises(ConfigError, match=told):
        prepared(log(make_inputs), source_of, window)


@pytest.mark.parametrize("window", ["[2026-02-01,2026-01-01]", "[soon,null]", "[2026-01-01]", "2026-01-01"])
def test_the_check_refuses_it_before_anything_is_read(window: str) -> None:
    report = check([f"data.time_window={window}"])
    assert [finding.where.split("[")[0] for finding in report.errors] == ["data.time_window"]


def test_the_check_takes_a_window() -> None:
    assert check(["data.time_window=[2026-01-01,2026-02-01T10:30:00]"]).ok
    assert check(["data.time_window=[null,1767312000]"]).ok
