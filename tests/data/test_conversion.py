"""What becomes of sessions once they are read: rule by rule, and all together on the way of a preparation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hft.data import (
    DuplicateSessions,
    DwellThreshold,
    FineTuningInputs,
    GivenSplitter,
    IrrelevantSessions,
    OtherOrders,
    Robots,
    SessionConverter,
    prepare_ranking_data,
)
from hft.errors import ConfigError, DataError
from hft.stores import StoreFolder

Make = Callable[..., FineTuningInputs]


def ids(inputs: FineTuningInputs) -> list[str]:
    return inputs.session_ids


def with_dwell(inputs: FineTuningInputs, dwells: list[list[float | None] | None]) -> FineTuningInputs:
    return inputs.replace(dwell=pa.array(dwells, type=pa.list_(pa.float32())))


def test_rules_that_are_off_give_the_very_sessions(make_inputs: Make) -> None:
    inputs = make_inputs([("a", "ab", [1, 0]), ("a", "ab", [1, 0])], user_id=["u", "u"], sort_by=["price", None])
    rules = {
        "robots": Robots(),
        "duplicates": DuplicateSessions(),
        "orders": OtherOrders(),
        "dwell": DwellThreshold(),
        "irrelevant": IrrelevantSessions(),
        "none": None,
    }
    converted = SessionConverter(rules).convert(inputs)
    assert converted.inputs is inputs
    assert (converted.dropped, converted.changed, converted.notes) == ({}, {}, ())


# ------------------------------------------------------------------ dwell


def test_an_event_with_a_dwell_below_the_threshold_does_not_count(make_inputs: Make) -> None:
    inputs = make_inputs([("a", "abc", [1, 3, 10]), ("b", "ab", [1, 0]), ("c", "ab", [1, 0])])
    inputs = with_dwell(inputs, [[9.9, 10.0, None], [2.0, None], None])
    found = DwellThreshold(10.0).apply(inputs)
    assert found.inputs.flat_events.tolist() == [0, 3, 10, 0, 0, 1, 0]
    assert found.changed == {
        "events with a dwell below 10 s do not count": 2,
        "sessions had no other event": 1,
    }
    assert len(found.inputs) == 3


def test_a_threshold_where_no_event_has_a_dwell_says_so(make_inputs: Make) -> None:
    inputs = make_inputs([("a", "ab", [1, 0])])
    found = DwellThreshold(5.0).apply(inputs)
    assert found.inputs is inputs
    assert "data.source.fields.event_dwell" in found.notes[0]


# ------------------------------------------------------------------ orders


def test_sessions_in_another_order_are_kept_dropped_or_weigh_less(make_inputs: Make) -> None:
    sessions = [(name, "ab", [1, 0]) for name in "abcd"]
    inputs = make_inputs(sessions, sort_by=["price", "Relevance", None, "date"])
    assert OtherOrders("keep").apply(inputs).inputs is inputs
    dropped = OtherOrders("drop").apply(inputs)
    assert ids(dropped.inputs) == ["s1", "s2"]
    assert dropped.dropped == {"sessions sorted by something other than relevance": 2}
    weighed = OtherOrders("down_weight", weight=0.25).apply(inputs)
    assert weighed.inputs.weights.tolist() == [0.25, 1, 1, 0.25]
    assert weighed.changed == {"sessions sorted by something other than relevance count 0.25": 2}
    assert weighed.inputs[0].weight == 0.25


def test_which_orders_mean_relevance_is_the_users_to_say(make_inputs: Make) -> None:
    inputs = make_inputs([(name, "ab", [1, 0]) for name in "ab"], sort_by=["price", "relevance"])
    assert ids(OtherOrders("drop", relevance=["PRICE"]).apply(inputs).inputs) == ["s0"]
    with pytest.raises(ConfigError, match="relevance=\\[\\]"):
        OtherOrders("drop", relevance=[])
    lacking = make_inputs([("a", "ab", [1, 0])])
    assert "data.source.fields.sort_by" in OtherOrders("drop").apply(lacking).notes[0]


# ------------------------------------------------------------------ robots


def test_users_with_too_many_sessions_or_events_lose_all_of_them(make_inputs: Make) -> None:
    sessions = [("a", "abc", [1, 1, 1]), ("b", "ab", [1, 0]), ("c", "ab", [1, 0]), ("d", "ab", [1, 0])]
    inputs = make_inputs(sessions, user_id=["few", "many", "many", None])
    assert ids(Robots(sessions_of_user=1).apply(inputs).inputs) == ["s0", "s3"]
    assert ids(Robots(sessions_of_user=2).apply(inputs).inputs) == ["s0", "s1", "s2", "s3"]
    found = Robots(events_of_user=2).apply(inputs)
    assert ids(found.inputs) == ["s1", "s2", "s3"]
    assert found.dropped == {"sessions of users with more than 2 events": 1}


def test_too_many_sessions_within_an_hour_are_a_robots_whatever_order_they_stand_in(make_inputs: Make) -> None:
    times = [7200.0, 100.0, 3599.0 + 100, 50.0, 0.0, None]
    users = ["slow", "fast", "fast", "fast", "slow", "fast"]
    inputs = make_inputs([(f"q{n}", "ab", [1, 0]) for n in range(6)], user_id=users, timestamp=times)
    assert len(Robots(sessions_an_hour=3).apply(inputs).inputs) == 6
    # 100 and 3,699 are within an hour, 50 and 3,699 are not.
    assert ids(Robots(sessions_an_hour=1).apply(inputs).inputs) == ["s0", "s4"]
    assert len(Robots(sessions_an_hour=2).apply(inputs).inputs) == 6


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_a_log_may_have_fewer_sessions_than_the_limit_of_an_hour(count: int, make_inputs: Make) -> None:
    """One user's: more than the four that are allowed are a robot's, any fewer are nobody's."""
    sessions = [(f"q{number}", "ab", [1, 0]) for number in range(count)]
    inputs = make_inputs(sessions, user_id=["u"] * count, timestamp=[60.0 * number for number in range(count)])
    assert len(Robots(sessions_an_hour=4).apply(inputs).inputs) == (0 if count > 4 else count)


def test_user_agents_and_clicks_on_everything_tell_robots(make_inputs: Make) -> None:
    sessions = [("a", "abc", [1, 1, 1]), ("b", "ab", [1, 1]), ("c", "abc", [1, 0, 1]), ("d", "ab", [1, 0])]
    agents = ["Mozilla", "Googlebot/2.1", None, "CURL/8"]
    inputs = make_inputs(sessions, user_agent=agents)
    found = Robots(user_agents=["bot\\b", "curl/"], every_result_of=3).apply(inputs)
    assert ids(found.inputs) == ["s2"]
    assert found.dropped == {
        "sessions of user agents of robots": 2,
        "sessions with an event on every result (robots)": 1,
    }
    with pytest.raises(ConfigError, match="no regular expression"):
        Robots(user_agents=["("])


def test_a_rule_about_users_without_users_says_which_field_to_name(make_inputs: Make) -> None:
    inputs = make_inputs([("a", "ab", [1, 0])])
    found = Robots(sessions_of_user=1, sessions_an_hour=1, user_agents=["bot"]).apply(inputs)
    assert found.inputs is inputs
    assert [note.rpartition("fields.")[2].split()[0] for note in found.notes] == ["user_agent", "user_id", "user_id"]


# ------------------------------------------------------------------ duplicates


def test_the_first_session_of_an_id_is_kept(make_inputs: Make) -> None:
    inputs = make_inputs([(name, "ab", [1, 0]) for name in "abc"]).replace(session_id=["x", "y", "x"])
    found = DuplicateSessions(same_id=True).apply(inputs)
    assert found.inputs.queries == ["a", "b"]
    assert found.dropped == {"sessions with the id of another one": 1}


def test_like_sessions_within_the_window_are_one_and_a_chain_of_reloads_leaves_the_first(make_inputs: Make) -> None:
    like = ("tent", "abc", [1, 0, 0])
    inputs = make_inputs([like] * 5, timestamp=[130.0, 0.0, 50.0, None, 100.0], user_id=["u"] * 5)
    found = DuplicateSessions(window=60.0).apply(inputs)
    # 0, 50, 100 and 130 follow each other closely; of no time nothing is known.
    assert ids(found.inputs) == ["s1", "s3"]
    assert found.dropped == {"sessions like another one at most 60 s before": 3}
    assert ids(DuplicateSessions(window=30.0).apply(inputs).inputs) == ["s1", "s2", "s3", "s4"]


@pytest.mark.parametrize(
    "other",
    [("Tent", "abc", [1, 0, 0]), ("tent", "acb", [1, 0, 0]), ("tent", "abc", [0, 1, 0]), ("tent", "abc", [3, 0, 0]),
     ("tent", "abcd", [1, 0, 0, 0]), ("tent", "bac", [0, 1, 0])],
)  # fmt: skip
def test_sessions_that_differ_in_query_results_order_or_events_are_no_duplicates(other: Any, make_inputs: Make) -> None:
    inputs = make_inputs([("tent", "abc", [1, 0, 0]), other], timestamp=[0.0, 1.0], user_id=["u", "u"])
    assert len(DuplicateSessions(window=60.0).apply(inputs).inputs) == 2


def test_like_sessions_of_two_users_are_two(make_inputs: Make) -> None:
    like = ("tent", "abc", [1, 0, 0])
    inputs = make_inputs([like] * 4, timestamp=[0.0] * 4, user_id=["u", "v", None, "u"])
    assert ids(DuplicateSessions(window=60.0).apply(inputs).inputs) == ["s0", "s1", "s2"]
    assert "data.source.fields.timestamp" in DuplicateSessions(window=1.0).apply(make_inputs([like])).notes[0]


def test_like_sessions_of_unknown_users_are_left_as_they_are_which_is_said(make_inputs: Make) -> None:
    """Many people ask for an iphone every 45 seconds; they are no chain of one's reloads."""
    like, times = ("iphone", "abc", [1, 0, 0]), [45.0 * number for number in range(20)]
    some = make_inputs([like] * 20, timestamp=times, user_id=["u"] * 2 + [None] * 18)
    found = DuplicateSessions(window=60.0).apply(some)
    assert ids(found.inputs) == ["s0", *(f"s{number}" for number in range(2, 20))]
    assert found.notes == ("duplicate sessions (window): 18 sessions without a user are left as they are",)
    none = make_inputs([like] * 20, timestamp=times)
    found = DuplicateSessions(window=60.0).apply(none)
    assert len(found.inputs) == 20
    assert "data.source.fields.user_id" in found.notes[0]


def test_like_sessions_in_two_orders_are_two(make_inputs: Make) -> None:
    inputs = make_inputs(
        [("tent", "abc", [1, 0, 0])] * 4,
        timestamp=[0.0] * 4,
        user_id=["u"] * 4,
        sort_by=[None, "price", "date", "price"],
    )
    assert ids(DuplicateSessions(window=60.0).apply(inputs).inputs) == ["s0", "s1", "s2"]


@pytest.mark.parametrize("name", ["standard", "clean"])
def test_a_page_that_reloads_makes_no_robot_of_who_reads_it(name: str, make_inputs: Make) -> None:
    """200 reloads within an hour are one session by the shipped rules, for duplicates go before robots are told."""
    from hydra.utils import instantiate

    from hft.config import compose

    rules = ["data.converter.rules.robots.sessions_an_hour=120", "data.converter.rules.duplicates.window=60"]
    config = compose(["data=sessions", f"data/converter={name}", *rules])
    sessions = [("tent", "abc", [1, 0, 0])] * 200 + [("stove", "abc", [0, 1, 0])]
    inputs = make_inputs(sessions, timestamp=[10.0 * number for number in range(201)], user_id=["u"] * 201)
    assert instantiate(config.data.converter).convert(inputs).inputs.queries == ["tent", "stove"]


# ------------------------------------------------------------------ the whole


def test_irrelevant_sessions_are_kept_without_events_or_dropped(make_inputs: Make, source_of: Any) -> None:
    sessions = [(f"{split} {n}", "ab", [1, 0]) for split in ("train", "validation", "test") for n in range(2)]
    inputs = make_inputs(sessions, split=[name.split()[0] for name, _, _ in sessions], is_irrelevant=[True, False] * 3)
    kept = prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown")
    assert kept.report.splits["train"].irrelevant == 1
    assert kept.report.splits["train"].events == 1
    converter = SessionConverter({"irrelevant": IrrelevantSessions("drop")})
    data = prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown", converter=converter)
    assert data.report.splits["train"].sessions == 1
    assert data.report.dropped["sessions flagged as irrelevant"] == 3


def test_every_rule_is_counted_in_the_report_of_a_preparation(make_inputs: Make, source_of: Any) -> None:
    sessions = [(f"{split} {n}", "abc", [1, 0, 0]) for split in ("train", "validation", "test") for n in range(4)]
    inputs = make_inputs(
        sessions,
        split=[name.split()[0] for name, _, _ in sessions],
        user_agent=["Googlebot", None, None, None] * 3,
        sort_by=[None, "price", None, None] * 3,
    )
    inputs = with_dwell(inputs, [None, None, [1.0, None, None], None] * 3)
    converter = SessionConverter(
        {"robots": Robots(user_agents=["bot"]), "orders": OtherOrders("down_weight"), "dwell": DwellThreshold(5.0)}
    )
    report = prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown", converter=converter).report
    assert report.splits["train"].sessions == 2
    text = "\n".join(report.lines())
    assert "left out: 3 sessions of user agents of robots" in text
    assert "changed: 3 sessions sorted by something other than relevance count 0.3" in text
    assert "changed: 3 events with a dwell below 5 s do not count" in text
    assert "left out: 1 train sessions without an event" in text


def test_a_converter_that_leaves_nothing_is_told_with_its_reasons(make_inputs: Make, source_of: Any) -> None:
    inputs = make_inputs([("a", "ab", [1, 0])], user_agent=["bot"])
    converter = SessionConverter({"robots": Robots(user_agents=["bot"])})
    with pytest.raises(DataError, match="1 sessions of user agents of robots"):
        prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown", converter=converter)
    short = SessionConverter({"dwell": DwellThreshold(5.0)})
    with pytest.raises(DataError, match=r"dwell below 5 s do not count.*data.converter"):
        prepare_ranking_data(
            source_of(with_dwell(inputs, [[1.0, None]])), GivenSplitter(), candidates="shown", converter=short
        )


def test_something_that_is_no_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.converter\.rules\.mine"):
        SessionConverter({"mine": 3})


def test_prepared_data_is_known_by_the_rules_and_a_stranger_is_applied_each_time(
    write: Callable[[str, Any], Any], tmp_path: Any
) -> None:
    from hft.data import QuerySplitter, SessionFiles

    items = write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in "abc"])
    lines = [
        {"query": f"query {n}", "results": ["a", "b"], "events": [{"item_id": "a", "dwell": n % 10}]} for n in range(80)
    ]
    source = SessionFiles(write("sessions.jsonl", lines), items)
    store = StoreFolder(tmp_path / "stores", None, print)
    applied = []

    class Mine:
        def apply(self, inputs: FineTuningInputs) -> Any:
            applied.append(len(inputs))
            return DwellThreshold(1.0).apply(inputs)

    def events(converter: SessionConverter | None) -> int:
        data = prepare_ranking_data(source, QuerySplitter(), candidates="shown", converter=converter, store=store)
        return sum(counts.events for counts in data.report.splits.values())

    rules = [SessionConverter({"dwell": DwellThreshold(seconds)}) for seconds in (0.0, 2.0, 5.0)]
    assert [events(rule) for rule in rules for _ in range(2)] == [80, 80, 64, 64, 40, 40]
    assert events(None) == 80
    assert [events(SessionConverter({"mine": Mine()})) for _ in range(2)] == [72, 72]
    assert applied == [80, 80]


def test_sessions_have_one_key_exactly_where_they_are_alike(make_inputs: Make) -> None:
    from hft.data.conversion.repeats import content_keys

    rng = np.random.default_rng(0)
    sessions = [(f"q{n % 50}", "abcdef", rng.integers(0, 3, 6).tolist()) for n in range(2000)]
    inputs = make_inputs(sessions)
    distinct = {(query, tuple(events)) for query, _, events in sessions}
    assert len(np.unique(content_keys(inputs))) == len(distinct)
