"""Texts of megabytes are cut at data.max_text_length, and counted, whatever the source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hft.data import (
    BeirFolder,
    CategoryFiles,
    FineTuningInputs,
    GivenSplitter,
    ItemJson,
    Quarantine,
    QuerySplitter,
    SessionFiles,
    prepare_ranking_data,
)

Write = Callable[[str, Any], Path]
LONG = "wörd " * 2_000_000  # ten million characters


def prepared(source: Any, **options: Any) -> Any:
    options = {"candidates": "shown", "required_splits": (), **options}
    return prepare_ranking_data(source, QuerySplitter(), **options)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_query_and_an_item_of_ten_megabytes_are_cut_and_counted(write: Write, tmp_path: Path, suffix: str) -> None:
    items = write("items.jsonl", [{"item_id": "a", "title": "t", "text": LONG}, {"item_id": "b", "text": "b"}])
    rows = [{"query": query, "results": ["a", "b"], "events": ["a"]} for query in ("q", LONG, f"other {LONG}", "r")]
    sessions = tmp_path / "log.parquet"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), sessions)
    else:
        sessions = write("log.jsonl", rows)
    data = prepared(SessionFiles(sessions, items), quarantine_path=tmp_path / "quarantine.jsonl")
    assert max(len(query) for inputs in data.splits.values() for query in inputs.queries) <= 100_000
    assert sum(map(len, data.splits.values())) == 4
    assert len(data.items.texts[0]) <= 100_000
    assert data.report.reasons == {
        "texts of items of more than 100,000 characters were cut there (data.max_text_length)": 1,
        "queries of more than 100,000 characters were cut there (data.max_text_length)": 2,
    }
    entries = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert [(Path(entry["file"]).name, entry["line"], entry["kept"]) for entry in entries] == [
        ("items.jsonl", 1, True),
        (sessions.name, 2, True),
        (sessions.name, 3, True),
    ]
    assert max(len(entry["raw"]) for entry in entries) <= 100_000


def test_a_longer_length_is_an_option(write: Write) -> None:
    items = write("items.jsonl", [{"item_id": name, "text": f"{name} of many words"} for name in "ab"])
    sessions = write("log.jsonl", [{"query": "three words here", "results": ["a", "b"], "events": ["a"]}] * 2)
    source = SessionFiles(sessions, items)
    (query,) = {text for inputs in prepared(source, max_text_length=5).splits.values() for text in inputs.queries}
    assert query == "three"
    whole = prepared(source, max_text_length=None)
    assert (whole.items.texts[0], whole.report.reasons) == ("a of many words", {})


def test_collections_and_labelled_texts_are_cut_too(write: Write, tmp_path: Path) -> None:
    write("corpus.jsonl", [{"_id": "1", "title": "t", "text": "x" * 50}, {"_id": "2", "title": "u", "text": "y"}])
    write("queries.jsonl", [{"_id": "q", "text": "z" * 30}])
    write("qrels/test.tsv", ["q\t1\t1"])
    data = prepare_ranking_data(
        BeirFolder(tmp_path), GivenSplitter(), candidates="corpus", required_splits=("test",), max_text_length=20
    )
    assert (data.test.queries, len(data.items.texts[0])) == (["z" * 20], 20)
    write("train.jsonl", [{"text": "z" * 30, "category": "c" * 25}, {"text": "short", "category": "d"}])
    data = prepared(CategoryFiles(tmp_path, test=None), max_text_length=20)
    assert {text for inputs in data.splits.values() for text in inputs.queries} == {"z" * 20, "short"}
    assert data.items.texts == ["c" * 20, "d"]
    assert sum(data.report.reasons.values()) == 3


def test_a_source_of_ones_own_is_cut_too(make_inputs: Callable[..., FineTuningInputs], source_of: Any) -> None:
    inputs = make_inputs([("a long query", "ab", [1, 0]), ("short", "ab", [0, 1])])
    data = prepared(source_of(inputs), max_text_length=6)
    assert {text for part in data.splits.values() for text in part.queries} == {"a long", "short"}
    assert data.items.texts[0] == "red ap"
    assert data.report.reasons["queries of more than 6 characters were cut there (data.max_text_length)"] == 1


def test_an_item_as_json_is_set_aside_for_half_of_it_says_nothing(write: Write) -> None:
    items = write(
        "items.jsonl", [{"item_id": name, "text": "x" * count} for name, count in (("a", 99), ("b", 1), ("c", 2))]
    )
    sessions = write("log.jsonl", [{"query": "q", "results": ["b", "c"], "events": ["b"]}])
    quarantine = Quarantine(None, 0.5, 50)
    data = SessionFiles(sessions, items, item_text=ItemJson()).read(quarantine)
    assert (data.items.ids, quarantine.count) == (["b", "c"], 1)
