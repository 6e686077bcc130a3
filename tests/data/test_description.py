"""What a log looks like, counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hft.data import (
    FineTuningInputs,
    PythonDocs,
    QuerySplitter,
    Robots,
    SessionConverter,
    UserSplitter,
    describe_data,
)
from hft.data.text_lengths import text_lengths
from hft.errors import DataError

Make = Callable[..., FineTuningInputs]


def log(make: Make, **columns: Any) -> FineTuningInputs:
    """100 sessions of 20 queries, each second one without an event, clicks on position 1 three times in ten."""
    sessions = [(f"query number {n % 20}", "abcd", [int(n % 10 < 3), 0, int(n % 2), 0]) for n in range(100)]
    sessions[0] = ("query number 0", "abcd", [0, 0, 0, 0])
    return make(sessions, **columns)


def described(inputs: FineTuningInputs, source_of: Any, **options: Any) -> dict[str, Any]:
    found = describe_data(source_of(inputs), QuerySplitter(0.2, 0.3), candidates="shown", **options)
    return json.loads(json.dumps(found))  # plain values only


def test_sessions_queries_items_and_events_are_counted_before_the_split(make_inputs: Make, source_of: Any) -> None:
    found = described(log(make_inputs), source_of)
    events = [int(n % 10 < 3) * (n > 0) + n % 2 for n in range(100)]
    assert found["sessions"]["all"] == 100
    assert found["sessions"]["with_event"] == sum(count > 0 for count in events)
    assert found["events"]["all"] == sum(events)
    assert found["events"]["by_weight"] == {"1": sum(events)}
    assert found["events"]["a_session"]["mean"] == pytest.approx(np.mean(events))
    assert found["queries"]["texts"] == 20
    assert found["queries"]["sessions_of_repeated"] == 100
    assert found["queries"]["most_frequent"][0] == ["query number 0", 5]
    assert found["items"] == {"all": 6, "texts": 6, "shown": 4, "picked": 2}
    left = found["report"]["dropped"]
    splits = found["report"]["splits"]
    assert sum(counts["sessions"] for counts in splits.values()) + sum(left.values()) == 100


def test_events_are_counted_by_position_over_all_sessions_but_irrelevant_ones(
    make_inputs: Make, source_of: Any
) -> None:
    flags = [n >= 90 for n in range(100)]
    found = described(log(make_inputs, is_irrelevant=flags), source_of)["positions"]
    assert [place["position"] for place in found] == [1, 2, 3, 4]
    assert [place["shown"] for place in found] == [90] * 4
    assert [place["events"] for place in found] == [26, 0, 45, 0]
    assert found[2]["rate"] == 0.5


def test_users_times_and_values_are_told_where_they_are(make_inputs: Make, source_of: Any) -> None:
    plain = described(log(make_inputs), source_of)
    assert (plain["users"], plain["time"], plain["values"]) == (None, None, {})
    inputs = log(
        make_inputs,
        user_id=[None if n % 4 == 0 else f"u{n % 5}" for n in range(100)],
        timestamp=[None if n == 0 else 86_400.0 * (n // 25) + (99 - n) for n in range(100)],
        sort_by=["price" if n % 10 == 0 else None for n in range(100)],
    )
    found = described(inputs, source_of)
    assert found["users"]["all"] == 5
    assert found["users"]["without"] == 25
    assert found["time"]["without"] == 1
    assert found["time"]["out_of_order"] == 95
    assert [count for _, count in found["time"]["sessions"]] == [24, 25, 25, 25]
    assert found["values"]["sort_by"] == {"values": 1, "without": 90, "most_frequent": {"price": 10}}


def test_lengths_are_words_and_about_tokens() -> None:
    texts = pa.array(["a red tent", "", "日本語", "don't", "internationalization", "عربي نص"])
    words, tokens = text_lengths(texts)
    assert words.tolist() == [3, 0, 1, 1, 1, 2]
    assert tokens.tolist() == [3, 0, 3, 3, 3, 2]
    many = pa.array([f"word{' word' * (n % 9)}" for n in range(60_000)])
    words, _ = text_lengths(many, seed=1)
    assert len(words) == 50_000
    assert words.mean() == pytest.approx(5.0, abs=0.05)


def test_histograms_hold_every_value_once(make_inputs: Make, source_of: Any) -> None:
    sessions = [(f"query {n}", "abcdef"[: 2 + n % 5], [1] + [0] * (1 + n % 5)) for n in range(60)]
    found = described(make_inputs(sessions), source_of)["results"]
    assert sum(found["counts"]) == 60
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert (found["min"], found["max"], found["median"]) == (2, 6, 4)
    assert found["counts"] == [12] * 5


def test_what_the_converter_and_a_window_leave_is_what_is_described(make_inputs: Make, source_of: Any) -> None:
    inputs = log(make_inputs, user_agent=["bot" if n < 10 else "x" for n in range(100)], timestamp=range(100))
    converter = SessionConverter({"robots": Robots(user_agents=["bot"])})
    found = described(inputs, source_of, converter=converter, time_window=[0, 60])
    assert found["sessions"]["all"] == 50
    assert found["report"]["dropped"]["sessions of user agents of robots"] == 10
    assert found["report"]["dropped"]["sessions outside the time window"] == 40


def test_a_split_without_sessions_is_described_and_a_lacking_field_is_refused(
    make_inputs: Make, source_of: Any
) -> None:
    inputs = make_inputs([("one", "ab", [1, 0]), ("one", "ab", [0, 1])])
    found = described(inputs, source_of)
    assert sorted(counts["sessions"] for counts in found["report"]["splits"].values()) == [0, 0, 2]
    with pytest.raises(DataError, match=r"data.source.fields.user_id"):
        describe_data(source_of(inputs), UserSplitter(), candidates="shown")


def test_lists_that_are_simulated_are_described_and_said_to_be() -> None:
    found = describe_data(PythonDocs(), QuerySplitter(), candidates="corpus", limit_sessions=100)
    assert found["simulated"]
    assert found["sessions"]["all"] == sum(counts["sessions"] for counts in found["report"]["splits"].values())
    assert len(found["positions"]) == 10
