"""What of a held-out split training has seen."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

from rich.console import Console

from hft.data import FineTuningInputs, GivenSplitter, ItemsSet, prepare_ranking_data, seen_in_training
from hft.data.leakage import leakage_line, leakage_of
from hft.reporting.leakage_table import leakage_table

Make = Callable[..., FineTuningInputs]


def test_queries_items_users_and_times_are_counted(make_inputs: Make) -> None:
    inputs = make_inputs(
        [
            ("red tent", "ab", [1, 0]),
            ("gas stove", "bc", [0, 1]),
            ("red tent", "ad", [1, 1]),
            ("tents, red!", "be", [1, 0]),
            ("alien", "cf", [0, 1]),
        ],
        user_id=["u", "v", "u", "w", None],
        timestamp=[10.0, 20.0, 20.0, 21.0, None],
    )
    train, test = inputs.select([0, 1]), inputs.select([2, 3, 4])
    assert leakage_of(train, test) == {
        "sessions": 3,
        "queries": 3,
        "queries_seen": 1,
        "queries_near_seen": 2,
        "items": 6,
        "items_shown": 3,
        "relevant": 4,
        "relevant_picked": 1,
        "items_new": 3,
        "texts_seen": 0,
        "users": 2,
        "users_seen": 1,
        "sessions_timed": 2,
        "sessions_not_later": 1,
    }
    line = leakage_line("test", leakage_of(train, test))
    assert "queries 1 of 3 (with near-duplicates 2)" in line
    assert "users 1 of 2" in line
    assert "1 of 2 sessions are not later than all of train" in line


def test_noise_words_make_near_duplicates_and_texts_of_other_objects_are_compared(make_inputs: Make) -> None:
    train = make_inputs([("red tent", "ab", [1, 0])])
    test = make_inputs([("red tent buy", "ab", [1, 0]), ("red tent", "ab", [1, 0])])
    found = leakage_of(train, test, ["buy"])
    assert (found["queries_seen"], found["queries_near_seen"]) == (1, 2)
    assert leakage_of(train, test)["queries_near_seen"] == 1
    assert "users" not in found
    assert "sessions_timed" not in found


def test_a_new_item_with_the_text_of_a_known_one_is_counted(make_inputs: Make) -> None:
    inputs = make_inputs([("one", "ab", [1, 0]), ("two", "cd", [1, 0])])
    texts = ["same text", "green pear", "same text", "blue plum", "ripe cherry", "sour lemon"]
    twins = FineTuningInputs(inputs.table, ItemsSet.from_columns(inputs.items.ids, texts))
    assert leakage_of(twins.select([0]), twins.select([1]))["texts_seen"] == 1
    assert leakage_of(inputs.select([0]), inputs.select([1]))["texts_seen"] == 0


def test_texts_are_a_share_of_the_new_items_shown_or_judged(make_inputs: Make) -> None:
    """Of few items shown, many more are judged: the share is at most all."""
    inputs = make_inputs([("one", "ab", [1, 0]), ("two", "ac", [1, 0])], judged=[None, {"d": 1.0, "e": 1.0, "f": 1.0}])
    twins = FineTuningInputs(inputs.table, ItemsSet.from_columns(inputs.items.ids, ["same text"] * 6))
    found = leakage_of(twins.select([0]), twins.select([1]))
    assert (found["texts_seen"], found["items_new"], found["items"]) == (4, 4, 2)
    assert "texts of new items under another id 4 of 4" in leakage_line("test", found)
    console = Console(width=80, file=StringIO())
    console.print(leakage_table({"test": found}))
    assert "4 of 4 (100%)" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_report_of_a_preparation_has_it_for_both_splits_and_keeps_it(make_inputs: Make, source_of: Any) -> None:
    names = ["train", "train", "validation", "test"]
    inputs = make_inputs([(f"query {n}", "abc", [1, 0, 0]) for n in range(4)], split=names)
    report = prepare_ranking_data(source_of(inputs), GivenSplitter(), candidates="shown").report
    assert set(report.leakage) == {"validation", "test"}
    assert report.leakage["test"]["relevant_picked"] == 1
    assert [
        line for line in report.lines() if line.startswith("test, seen in train: queries 0 of 1, items shown 3 of 3")
    ]


def test_users_seen_in_training_are_told_where_there_are_users(make_inputs: Make) -> None:
    sessions = [("a", "ab", [1, 0]), ("b", "ab", [1, 0]), ("c", "ab", [1, 0])]
    train = make_inputs(sessions[:1], user_id=["u"])
    test = make_inputs(sessions, user_id=["v", "u", None])
    seen = seen_in_training(train, test).user_seen
    assert seen is not None
    assert seen.tolist() == [False, True, False]
    assert seen_in_training(train, make_inputs(sessions)).user_seen is None
