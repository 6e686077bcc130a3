from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hft.data import (
    FineTuningInputs,
    GivenSplitter,
    GroupSplitter,
    ItemsSet,
    PythonDocs,
    QuerySplitter,
    SessionFiles,
    prepare_ranking_data,
)
from hft.errors import DataError

Make = Callable[..., FineTuningInputs]
SourceOf = Callable[..., Any]


@pytest.fixture
def three_splits(make_inputs: Make) -> Callable[..., FineTuningInputs]:
    """Two sessions a split: one with an event, one given by the test."""

    def make(query: str, shown: str, events: list[float], judged: dict[str, float] | None = None) -> FineTuningInputs:
        sessions, names = [], []
        for split in ("train", "validation", "test"):
            sessions += [(f"good {split}", "ab", [1, 0]), (f"{query} {split}", shown, events)]
            names += [split, split]
        return make_inputs(sessions, judged=[None, judged] * 3, split=names)

    return make


def queries(data: Any) -> list[list[str]]:
    return [inputs.queries for inputs in data.splits.values()]


def test_sessions_without_an_event_leave_every_split(three_splits: Make, source_of: SourceOf) -> None:
    source = source_of(three_splits("useless", "ab", [0, 0]))
    data = prepare_ranking_data(source, GivenSplitter(), candidates="shown")
    assert queries(data) == [["good train"], ["good validation"], ["good test"]]
    assert data.report.dropped["train sessions without an event"] == 1
    assert data.report.dropped["test sessions without an event"] == 1


def test_training_sessions_without_an_event_stay_where_a_click_model_asks_for_them(
    three_splits: Make, source_of: SourceOf
) -> None:
    source = source_of(three_splits("useless", "ab", [0, 0]))
    data = prepare_ranking_data(source, GivenSplitter(), candidates="shown", keep_without_event=True)
    assert queries(data) == [["good train", "useless train"], ["good validation"], ["good test"]]
    assert "train sessions without an event" not in data.report.dropped


def test_held_out_sessions_without_an_event_stand_beside_their_split_for_a_click_model_alone(
    make_inputs: Make, source_of: SourceOf
) -> None:
    sessions = [(f"{split} {n}", "ab", [n % 3 == 0, 0]) for split in ("train", "validation", "test") for n in range(30)]
    inputs = make_inputs(sessions, split=[query.split()[0] for query, _, _ in sessions])

    def prepared(**options: Any) -> Any:
        return prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown", **options)

    plain, kept = prepared(), prepared(keep_without_event=True)
    assert plain.unclicked == {}
    assert {name: len(part) for name, part in kept.unclicked.items()} == {"validation": 20, "test": 20}
    assert not any(part.has_event.any() for part in kept.unclicked.values())
    assert kept.test.table.equals(plain.test.table)
    assert kept.report.dropped["test sessions without an event (the click model alone reads them)"] == 20
    # Of a part of the sessions, a part as large, and the same sessions as without.
    few = prepared(keep_without_event=True, limit_sessions=5)
    assert few.test.table.equals(prepared(limit_sessions=5).test.table)
    assert len(few.unclicked["test"]) == 10
    assert few.fingerprint() != kept.fingerprint()


def test_known_relevance_keeps_a_session_in_evaluation(three_splits: Make, source_of: SourceOf) -> None:
    source = source_of(three_splits("judged", "ab", [0, 0], {"a": 1.0}))
    data = prepare_ranking_data(source, GivenSplitter(), candidates="shown")
    assert [len(found) for found in queries(data)] == [1, 2, 2]
    none = source_of(three_splits("judged", "ab", [0, 0], {"a": 0.0}))
    data = prepare_ranking_data(none, GivenSplitter(), candidates="shown")
    assert [len(found) for found in queries(data)] == [1, 1, 1]


def test_sessions_without_an_event_are_irrelevant_by_option(three_splits: Make, source_of: SourceOf) -> None:
    source = source_of(three_splits("nothing", "ab", [0, 0]))
    data = prepare_ranking_data(source, GivenSplitter(), candidates="shown", no_event_is_irrelevant=True)
    assert data.train.is_irrelevant.tolist() == [False, True]
    assert data.train.is_flagged.tolist() == [False, False]
    assert data.report.splits["train"].irrelevant == 1


def test_events_of_irrelevant_sessions_are_ignored(make_inputs: Make, source_of: SourceOf) -> None:
    inputs = make_inputs(
        [("one", "ab", [1, 0]), ("two", "ab", [1, 0]), ("three", "ab", [1, 0]), ("four", "cd", [5, 5])],
        split=["train", "validation", "test", "train"],
        is_irrelevant=[False, False, False, True],
    )
    data = prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown")
    assert data.train.queries == ["one", "four"]
    assert data.train[1].events == (0.0, 0.0)


def test_no_event_at_all_is_an_error(three_splits: Make, make_inputs: Make, source_of: SourceOf) -> None:
    source = source_of(make_inputs([("one", "ab", [0, 0]), ("two", "ab", [0, 0])]))
    with pytest.raises(DataError, match=r"none of the 2 sessions has an event"):
        prepare_ranking_data(source, QuerySplitter(), candidates="shown")
    with pytest.raises(DataError, match="no session is left"):
        prepare_ranking_data(source_of(make_inputs([])), QuerySplitter(), candidates="shown")


def test_an_empty_split_is_an_error_that_says_which(make_inputs: Make, source_of: SourceOf) -> None:
    inputs = make_inputs([("one", "ab", [1, 0]), ("two", "ab", [1, 0])], split=["train", "validation"])
    with pytest.raises(DataError, match=r"data\.splitter \(GivenSplitter\): no session is left for test"):
        prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown")
    data = prepare_ranking_data(
        source_of(inputs), GivenSplitter(), candidates="shown", required_splits=("train", "validation")
    )
    assert len(data.test) == 0


def test_a_held_out_query_leaves_train_with_its_near_duplicates(make_inputs: Make, source_of: SourceOf) -> None:
    shown = [("the insidious", "ab", [1, 0]), ("INSIDIOUS netflix", "ab", [1, 0]), ("up", "ab", [1, 0])]
    inputs = make_inputs([*shown, ("alien", "ab", [0, 1])], split=["test", "train", "validation", "train"])
    data = prepare_ranking_data(source_of(inputs), GivenSplitter(noise_words=["netflix"]), candidates="shown")
    assert data.train.queries == ["alien"]
    assert data.report.dropped == {"sessions whose query is held out from their split": 1}
    kept = prepare_ranking_data(
        source_of(inputs), GivenSplitter(noise_words=["netflix"]), candidates="shown", keep_seen_queries=True
    )
    assert kept.train.queries == ["INSIDIOUS netflix", "alien"]


@pytest.mark.parametrize("kind", [QuerySplitter, GivenSplitter, GroupSplitter])
def test_the_splitters_noise_words_decide_on_leaks_and_go_with_the_data(
    make_inputs: Make, source_of: SourceOf, kind: Any
) -> None:
    queries = [f"title{n // 2 * 2} {'netflix' if n % 2 else ''}" for n in range(80)]
    inputs = make_inputs(
        [(query, "ab", [1, 0]) for query in queries],
        group=[f"g{n}" for n in range(80)],
        split=["train" if n % 2 else ("validation", "test")[n % 4 // 2] for n in range(80)],
    )
    noisy = prepare_ranking_data(
        source_of(inputs), kind(noise_words=["netflix"]), candidates="shown", required_splits=("test",)
    )
    plain = prepare_ranking_data(source_of(inputs), kind(), candidates="shown", required_splits=("test",))
    assert (noisy.noise_words, plain.noise_words) == (("netflix",), ())

    def titles(data: Any, split: str) -> set[str]:
        return {query.split()[0] for query in data.splits[split].queries}

    assert not titles(noisy, "train") & titles(noisy, "test")
    assert titles(plain, "train") & titles(plain, "test")


def test_simulated_sessions_without_a_click_are_irrelevant_by_option() -> None:
    def prepared(no_event_is_irrelevant: bool) -> Any:
        return prepare_ranking_data(
            PythonDocs(click_probability=0.3),
            GroupSplitter(),
            candidates="corpus",
            limit_sessions=60,
            limit_items=100,
            no_event_is_irrelevant=no_event_is_irrelevant,
        )

    left_out, kept = prepared(False), prepared(True)
    assert not left_out.train.is_irrelevant.any()
    assert 0 < kept.train.is_irrelevant.sum() < len(kept.train)
    assert (kept.train.is_irrelevant == ~kept.train.has_event).all()
    assert not kept.train.is_flagged.any()
    assert kept.test.labels().grades.sum() == len(kept.test)


def many(make_inputs: Make, count: int = 120, **columns: Any) -> FineTuningInputs:
    rng = np.random.default_rng(0)
    letters = ["".join(rng.permutation(list("abcdef"))[:3]) for _ in range(count)]
    return make_inputs([(f"query number {n}", shown, [1, 0, 0]) for n, shown in enumerate(letters)], **columns)


def test_a_batch_is_selected(make_inputs: Make, source_of: SourceOf) -> None:
    batches = ["2024" if number % 2 else "2023" for number in range(120)]
    source = source_of(many(make_inputs, batch_id=batches))
    data = prepare_ranking_data(source, QuerySplitter(), candidates="shown", batch_id=2024)
    assert sum(map(len, data.splits.values())) == 60
    assert {session.batch_id for session in data.train} == {"2024"}
    with pytest.raises(DataError, match=r"data\.batch_id: no session of batch '2025'.*2023, 2024.*Did you mean"):
        prepare_ranking_data(source, QuerySplitter(), candidates="shown", batch_id="2025")
    with pytest.raises(DataError, match=r"data\.source\.fields\.batch_id"):
        prepare_ranking_data(source_of(many(make_inputs)), QuerySplitter(), candidates="shown", batch_id="2025")


def test_limits_are_a_seeded_draw_and_keep_relevant_items(make_inputs: Make, source_of: SourceOf) -> None:
    source = source_of(many(make_inputs))

    def limited(seed: int) -> Any:
        return prepare_ranking_data(
            source, QuerySplitter(), candidates="corpus", limit_sessions=4, limit_items=2, seed=seed
        )

    first, again, other = limited(0), limited(0), limited(1)
    assert [len(inputs) for inputs in first.splits.values()] == [4, 4, 4]
    whole = prepare_ranking_data(source, QuerySplitter(), candidates="corpus")
    for name, inputs in whole.splits.items():
        assert first.report.dropped[f"{name} sessions beyond data.limit_sessions=4"] == len(inputs) - 4
    assert first.fingerprint() == again.fingerprint()
    assert first.train.session_ids != other.train.session_ids
    relevant = set(first.test.flat_results[first.test.flat_events > 0].tolist())
    assert relevant <= set(first.pools["test"].tolist())
    assert len(first.pools["test"]) == max(2, len(relevant))


def test_shown_lists_need_no_pools(make_inputs: Make, source_of: SourceOf) -> None:
    data = prepare_ranking_data(source_of(many(make_inputs)), QuerySplitter(), candidates="shown")
    assert data.pools == {}


def test_the_fingerprint_sees_every_part(make_inputs: Make, source_of: SourceOf, items: ItemsSet) -> None:
    def fingerprint(inputs: FineTuningInputs, candidates: Any = "shown", **options: Any) -> str:
        return prepare_ranking_data(source_of(inputs), QuerySplitter(), candidates=candidates, **options).fingerprint()

    inputs = many(make_inputs)
    events = inputs.flat_events.copy()
    events[1] = 1.0
    renamed = ItemsSet.from_columns(items.ids, ["other", *items.texts[1:]], items.titles)
    found = [
        fingerprint(inputs),
        fingerprint(inputs.with_events(events)),
        fingerprint(FineTuningInputs(inputs.table, renamed)),
        fingerprint(inputs.replace(timestamp=[1.0] * len(inputs))),
        fingerprint(inputs, "corpus"),
    ]
    data = prepare_ranking_data(source_of(inputs), QuerySplitter(), candidates="corpus")
    found.append(replace(data, pools={**data.pools, "test": data.pools["test"][1:]}).fingerprint())
    assert len(set(found)) == len(found)
    assert fingerprint(many(make_inputs)) == found[0]


def test_a_report_tells_what_was_read_left_out_and_kept(write: Callable[[str, Any], Path], tmp_path: Path) -> None:
    items = write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in "abc"])
    lines = [{"query": f"query {n}", "results": ["a", "b", "c"], "events": ["a"] if n % 5 else []} for n in range(100)]
    sessions = write("sessions.jsonl", [*lines, "{broken"])
    quarantine = tmp_path / "quarantine.jsonl"
    report = prepare_ranking_data(
        SessionFiles(sessions, items), QuerySplitter(), candidates="shown", quarantine_path=quarantine
    ).report
    text = "\n".join(report.lines())
    assert f"quarantined: 1 of 101 lines of {sessions}" in text
    assert "1 x malformed JSON" in text
    assert str(quarantine) in text
    assert "train: " in text
    assert sum(report.dropped.values()) == 20
    assert sum(counts.sessions for counts in report.splits.values()) == 80
    assert report.to_dict()["read"] == {str(items): 3, str(sessions): 101}


def test_a_report_names_unknown_items_under_a_heading(write: Callable[[str, Any], Path]) -> None:
    items = write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in "abc"])
    lines = [{"query": f"query {n}", "results": ["a", "b", f"gone{n}"], "events": ["a"]} for n in range(50)]
    source = SessionFiles(write("sessions.jsonl", lines), items)
    text = prepare_ranking_data(source, QuerySplitter(), candidates="shown").report.lines()
    [place] = [row for row, line in enumerate(text) if line.startswith("quarantined: parts of lines")]
    assert text[place + 1].startswith("  50 x results that no item has the id of")
    assert text[place + 1].endswith("(first: 'gone0', 'gone1', 'gone2')")
