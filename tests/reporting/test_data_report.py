"""The description of data as tables and pictures; leakage and small slices in a run's report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hft.reporting import print_description, print_report, save_data_pictures
from hft.reporting.leakage_table import leakage_table

SUMMARY = {"mean": 2.5, "min": 1.0, "median": 2.0, "p95": 5.0, "max": 90.0, "edges": [1.0, 2.0, 3.0], "counts": [3, 4]}
NOTHING = {"mean": None, "min": None, "median": None, "p95": None, "max": None, "edges": [], "counts": []}


@pytest.fixture
def description() -> dict[str, Any]:
    sides = {side: {"texts": 3, "words": SUMMARY, "tokens": SUMMARY} for side in ("queries", "items")}
    return {
        "schema_version": 1,
        "simulated": False,
        "sessions": {"all": 7, "with_event": 5, "irrelevant": 1, "judged": 0, "down_weighted": 2},
        "queries": {
            "texts": 4, "without_near_duplicates": 3, "repeated": 1, "sessions_of_repeated": 4,
            "sessions_a_query": SUMMARY, "most_frequent": [["[bold]tent[/bold]", 4], ["漢字 😀 عربي", 1]],
        },
        "items": {"all": 9, "texts": 8, "shown": 7, "picked": 3},
        "results": SUMMARY,
        "events": {
            "all": 6, "by_weight": {"1": 5, "3": 1}, "on_every_result": 1, "a_session": SUMMARY, "dwell": SUMMARY,
        },
        "positions": [{"position": 1, "shown": 6, "events": 3, "rate": 0.5}],
        "lengths": sides,
        "users": {"all": 3, "without": 1, "sessions_a_user": SUMMARY},
        "time": {
            "from": "2026-11-01 00:00:00", "to": "2026-11-03 00:00:00", "without": 0, "out_of_order": 2,
            "days_a_bin": 1.0, "sessions": [["2026-11-01", 3], ["2026-11-02", 4]],
        },
        "values": {"sort_by": {"values": 20, "without": 2, "most_frequent": {"price": 3}}},
        "report": {
            "splits": {"train": {"sessions": 4, "queries": 3, "results": 20, "events": 5}},
            "leakage": {"test": {"queries": 4, "queries_seen": 1}},
            "dropped": {"sessions of robots": 2}, "converted": {"events too short": 3},
            "quarantined": {"clicks.jsonl": 1}, "reasons": {"malformed JSON": 1}, "quarantine_file": "set_aside.jsonl",
            "notes": ["a note"],
            "item_fields": {"": ["title", "text"]},
            "warnings": ["a warning"],
        },
    }  # fmt: skip


def printed(show: Any, value: Any) -> str:
    console = Console(width=110, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(value, console)
    return console.export_text()


def test_the_tables_tell_what_there_is_and_take_texts_as_they_are(description: dict[str, Any]) -> None:
    text = printed(print_description, description)
    there = ["[bold]tent[/bold]", "漢字", "sessions of robots", "events too short", "malformed JSON", "a note"]
    there += ["set_aside.jsonl", "and 19 more", "50.0%", "1 of 4 (25%)", "sessions before the one above them"]
    for told in there:
        assert told in text, told


def test_what_the_data_does_not_tell_has_no_line_and_no_picture(description: dict[str, Any], tmp_path: Path) -> None:
    assert {path.name for path in save_data_pictures(description, tmp_path / "all")} == {
        "events_by_position.png", "sessions.png", "lengths.png", "time.png"
    }  # fmt: skip
    description |= {"users": None, "time": None, "positions": [], "values": {}, "results": NOTHING}
    assert "sessions a user" not in printed(print_description, description)
    assert {path.name for path in save_data_pictures(description, tmp_path / "few")} == {"sessions.png", "lengths.png"}


def test_the_leakage_table_has_a_row_a_kind_that_is_known() -> None:
    counts = {"queries": 10, "queries_seen": 2, "queries_near_seen": 3, "users": 0, "users_seen": 0}
    table = leakage_table({"validation": {"queries": 4, "queries_seen": 0, "queries_near_seen": 0}, "test": counts})
    names = ("kind", "validation", "test")
    cells = {name: list(column.cells) for name, column in zip(names, table.columns, strict=True)}
    assert cells["kind"] == ["queries of the same text", "queries, near-duplicates too", "users"]
    assert cells["validation"] == ["0 of 4 (0%)", "0 of 4 (0%)", "-"]
    assert cells["test"] == ["2 of 10 (20%)", "3 of 10 (30%)", "0 of 0"]


def test_a_runs_table_tells_leakage_and_slices_that_are_too_small(report: dict[str, Any]) -> None:
    before = printed(print_report, report)
    assert "Leakage" not in before
    report |= {"leakage": {"test": {"queries": 4, "queries_seen": 1}}, "small_slices": {"user seen in training": 3}}
    text = printed(print_report, report)
    assert "1 of 4 (25%)" in text
    assert "user seen in training (3)" in text
