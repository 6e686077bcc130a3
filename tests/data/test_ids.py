"""An id is one id, whatever type a file gives it; weights have a field of their own; a name stands once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hft.data import BeirFolder, Quarantine, SessionFiles, SourceData, SqlSessions
from hft.data.json_values import RepeatedNameError, parse_json
from hft.data.plain_values import as_id
from hft.data.text_declaration import ItemTexts, RecordTexts
from hft.data.texts import read_texts
from hft.errors import ConfigError, DataError

Write = Callable[[str, Any], Path]


def read(sessions: Path, items: Path, quarantine: Quarantine | None = None, **options: Any) -> SourceData:
    return SessionFiles(str(sessions), str(items), **options).read(quarantine or Quarantine(None, 0.0))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1234", "1234"),
        (" a b\t", "a b"),
        (1234, "1234"),
        (1234.0, "1234"),
        (-0.0, "0"),
        (Decimal("1234.00"), "1234"),
        (Decimal("1.2E+3"), "1200"),
        (Decimal("12345678901234567890123"), "12345678901234567890123"),
        (10**30, "1" + "0" * 30),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.5"),
        (b"caf\xc3\xa9", "café"),
        (date(2026, 1, 2), "2026-01-02"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_an_id_has_one_text_whatever_its_type(value: Any, expected: str) -> None:
    assert as_id(value) == expected


@pytest.mark.parametrize("value", [None, True, float("nan"), float("inf"), Decimal("NaN"), [1], {"a": 1}, b"\xe9"])
def test_what_is_no_id_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="expected an id, a text or a whole number, found"):
        as_id(value)


def test_a_float_that_cannot_tell_two_ids_apart_is_refused() -> None:
    assert as_id(2.0**53 - 1) == str(2**53 - 1)
    with pytest.raises(ValueError, match="its last digits are lost"):
        as_id(2.0**53)


IDS: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "double": pa.float64(),
    "float": pa.float32(),
    "decimal": pa.decimal128(12, 2),
    "string": pa.string(),
    "binary": pa.binary(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}


@pytest.mark.parametrize("of_items", ["json", "json_floats", *IDS])
@pytest.mark.parametrize("of_sessions", ["json_floats", "csv", *IDS])
def test_sessions_find_their_items_whatever_types_the_ids_have(tmp_path: Path, of_sessions: str, of_items: str) -> None:
    def column(kind: str, numbers: list[int]) -> pa.Array:
        plain = pa.array(numbers)
        texts = plain.cast(pa.string())
        if kind == "dictionary":
            return texts.dictionary_encode()
        if kind == "binary":
            return texts.cast(pa.binary())
        return (
            pa.array([Decimal(number) for number in numbers], IDS[kind]) if kind == "decimal" else plain.cast(IDS[kind])
        )

    numbers = [7, 12, 30]
    items = tmp_path / "items.jsonl"
    if of_items in IDS:
        items = tmp_path / "items.parquet"
        pq.write_table(pa.table({"item_id": column(of_items, numbers), "text": ["a", "b", "c"]}), items)
    else:
        ids = [float(number) if of_items == "json_floats" else number for number in numbers]
        items.write_text("".join(json.dumps({"item_id": each, "text": f"t{each}"}) + "\n" for each in ids))
    sessions = tmp_path / "sessions.jsonl"
    if of_sessions in IDS:
        sessions = tmp_path / "sessions.parquet"
        flat = column(of_sessions, [7, 12, 30] * 3)
        flat = flat.cast(pa.string()) if of_sessions == "dictionary" else flat
        shown = pa.ListArray.from_arrays(pa.array([0, 3, 6, 9], pa.int32()), flat)
        picked = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), flat.take(pa.array([0, 2, 0])))
        of_user = column(of_sessions, [1, 2, 1])
        pq.write_table(
            pa.table({"query": ["x", "y", "z"], "results": shown, "events": picked, "user_id": of_user}), sessions
        )
    elif of_sessions == "csv":
        sessions = tmp_path / "sessions.csv"
        sessions.write_text("query,results,events,user_id\nx,7|12|30,7,1\ny,7| 12|30,30,2\nz,7|12|30,7,1\n")
    else:
        picks = {"x": 7, "y": 30.0, "z": 7}
        lines = [{"query": query, "results": [7.0, 12.0, 30.0], "events": [pick]} for query, pick in picks.items()]
        users = [1.0, 2, "1"]
        told = [json.dumps(line | {"user_id": user}) for line, user in zip(lines, users, strict=True)]
        sessions.write_text("\n".join(told))
    inputs = read(sessions, items).inputs
    assert [found.results for found in inputs] == [("7", "12", "30")] * 3
    assert [found.events for found in inputs] == [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)]
    assert [found.user_id for found in inputs] == ["1", "2", "1"]


def test_rows_of_results_and_events_find_their_sessions_whatever_types_the_ids_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = sqlite3.connect(tmp_path / "log.db")
    database.executescript(
        "CREATE TABLE s (id REAL, q TEXT); INSERT INTO s VALUES (1.0, 'x'), (2.0, 'y');"
        "CREATE TABLE r (id TEXT, item REAL); INSERT INTO r VALUES ('1', 7.0), ('1', 12.0), ('2', 12.0), ('2', 7.0);"
        "CREATE TABLE e (id INTEGER, item TEXT); INSERT INTO e VALUES (1, '12'), (2, '7');"
        "CREATE TABLE i (id INTEGER, words TEXT); INSERT INTO i VALUES (7, 'a'), (12, 'b');"
    )
    monkeypatch.setenv("LOG_URL", f"sqlite:///{tmp_path / 'log.db'}")
    source = SqlSessions(
        "LOG_URL",
        "SELECT id AS session_id, q AS query FROM s ORDER BY id",
        "SELECT id AS item_id, words AS text FROM i ORDER BY id",
        "SELECT id AS session_id, item AS item_id FROM r ORDER BY rowid",
        "SELECT id AS session_id, item AS item_id FROM e ORDER BY rowid",
    )
    found = list(source.read(Quarantine(None, 0.0)).inputs)
    assert [(each.session_id, each.results, each.events) for each in found] == [
        ("1", ("7", "12"), (0.0, 1.0)),
        ("2", ("12", "7"), (0.0, 1.0)),
    ]


def test_queries_of_a_collection_find_their_judgements_whatever_type_their_ids_have(write: Write) -> None:
    folder = write("corpus.jsonl", [{"_id": 7.0, "text": "a"}, {"_id": "12", "text": "b"}]).parent
    write("queries.jsonl", [{"_id": 1.0, "text": "q"}, {"_id": 2, "text": "r"}])
    write("qrels/test.tsv", ["query-id\tcorpus-id\tscore", "1\t7\t1", "2\t12\t1"])
    data = BeirFolder(folder, item_fields=["text"]).read(Quarantine(None, 0.0))
    assert data.inputs.session_ids == ["test:1", "test:2"]
    assert data.items.ids == ["7", "12"]


def test_numbers_as_many_as_the_results_are_ids(write: Write) -> None:
    items = write("items.jsonl", [{"item_id": number, "text": f"t{number}"} for number in (5, 7, 9)])
    lines = [{"query": f"q{number}", "results": [5, 7, 9], "events": [7, 7, 5]} for number in range(3)]
    for sessions in (write("log.jsonl", lines), write("log.csv", ["query,results,events", "q,5|7|9,7|7|5"])):
        assert {found.events for found in read(sessions, items).inputs} == {(1.0, 1.0, 0.0)}


@pytest.mark.parametrize("name", ["w", "events"])
def test_weights_have_a_field_of_their_own(write: Write, tmp_path: Path, name: str) -> None:
    items = write("items.jsonl", [{"item_id": number, "text": f"t{number}"} for number in (5, 7, 9)])
    rows = [{"query": f"q{number}", "results": [5, 7, 9], name: [0, 2.5, 1]} for number in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    table = write("log.csv", [f"query,results,{name}", "q,5|7|9,0|2.5|1"])
    for sessions in (write("log.jsonl", rows), table, tmp_path / "log.parquet"):
        data = read(sessions, items, fields={"weights": name})
        assert {found.events for found in data.inputs} == {(0.0, 2.5, 1.0)}


def test_weights_take_the_place_of_events_and_are_told_where_they_are_missing(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"data\.source\.fields\.weights: .*leave one of them out"):
        SessionFiles("a.jsonl", "b.jsonl", fields={"weights": "w", "events": "clicks"})
    items = write("items.jsonl", [{"item_id": name, "text": name} for name in "ab"])
    sessions = write("log.jsonl", [{"query": "q", "results": ["a", "b"], "wieghts": [1, 0]}])
    with pytest.raises(
        DataError, match=r"'weights' \(did you mean 'wieghts'\?\).*data\.source\.fields\.weights=wieghts"
    ):
        read(sessions, items, fields={"weights": "weights"})


@pytest.mark.parametrize("role", ["sessions", "items"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_two_columns_of_one_name_are_refused(write: Write, tmp_path: Path, role: str, suffix: str) -> None:
    rows = {"sessions": ["query,results,query,events", "q,a|b,r,a"], "items": ["item_id,text,text ", "a,b,c"]}[role]
    if suffix == "parquet":
        names = [name.strip() for name in rows[0].split(",")]
        cells = [pa.array([cell]) for cell in rows[1].split(",")]
        pq.write_table(pa.Table.from_arrays(cells, names), tmp_path / "f.parquet")
    else:
        write(f"f.{suffix}", [row.replace(",", "\t") if suffix == "tsv" else row for row in rows])
    files = {
        "sessions": write("log.jsonl", [{"query": "q", "results": ["a", "b"], "events": []}]),
        "items": write("items.jsonl", [{"item_id": name, "text": name} for name in "ab"]),
        role: tmp_path / f"f.{suffix}",
    }
    twice = "query" if role == "sessions" else "text"
    with pytest.raises(DataError, match=rf"f\.{suffix}: two columns are called '{twice}'"):
        read(files["sessions"], files["items"])


def test_columns_without_a_name_may_be_several(write: Write) -> None:
    items = write("items.csv", [",item_id,text,,", "0,a,A,,", "1,b,B,,"])
    sessions = write("log.csv", ["\ufeff query , results,events,,", "q,a|b,b,,"])
    (found,) = read(sessions, items).inputs
    assert (found.query, found.results, found.events) == ("q", ("a", "b"), (0.0, 1.0))


def test_pandas_null_is_no_value(write: Write, tmp_path: Path) -> None:
    items = write("items.jsonl", [{"item_id": name, "text": name} for name in "ab"])
    table = pa.table(
        {
            "query": ["x", "y"],
            "results": [["a", "b"]] * 2,
            "events": [["a"]] * 2,
            "user_id": [float("nan"), 7.0],
            "session_id": [3.0, float("nan")],
            "timestamp": [float("nan"), 5.0],
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    found = list(read(tmp_path / "log.parquet", items).inputs)
    assert [(each.user_id, each.session_id, each.timestamp) for each in found] == [
        (None, "3", None),
        ("7", "log.parquet:2", 5.0),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a" : 1, "b": {"c":1,"c":2}}',
        '[{"x":[{"a":1,"\\u0061":2}]}]',
        '{"a":1,"a"\t:2}',
        '{"q":"he said \\":","q":1}',
    ],
)
@pytest.mark.parametrize("encode", [str, str.encode])
def test_a_name_that_stands_twice_in_an_object_is_refused(text: str, encode: Callable[[str], Any]) -> None:
    with pytest.raises(RepeatedNameError, match="stands twice"):
        parse_json(encode(text))


@pytest.mark.parametrize("value", [{"a": {"a": [{"a": 1}, {"a": 2}]}, 'b":': '":"a":'}, [], 1, {"": {"": 0}}])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", " : ")])
def test_names_of_different_objects_may_be_the_same(value: Any, separators: tuple[str, str]) -> None:
    assert parse_json(json.dumps(value, separators=separators)) == value


def test_texts_that_stand_as_bytes_are_read_as_utf_8_or_set_aside(write: Write, tmp_path: Path) -> None:
    sessions = write("sessions.jsonl", [{"query": "q", "results": ["1", "2"], "events": ["2"]}] * 30)
    items = tmp_path / "items.parquet"
    texts = [b"A tent", "Caf\u00e9".encode(), b"\xff", *(b"text %d" % number for number in range(200))]
    ids = [str(number) for number in range(1, len(texts) + 1)]
    pq.write_table(
        pa.table({"item_id": ids, "title": [b"Title"] * len(ids), "text": pa.array(texts, pa.binary())}), items
    )
    quarantine = Quarantine(None, 0.1)
    found = read(sessions, items, quarantine)
    assert list(found.items.texts)[:2] == ["Title\nA tent", "Title\nCaf\u00e9"]
    assert quarantine.reasons == {"bytes that are no UTF-8 in a text": 1}


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16()])
def test_ids_that_stand_as_floats_too_narrow_for_them_are_refused(
    write: Write, tmp_path: Path, kind: pa.DataType
) -> None:
    items = write("items.jsonl", [{"item_id": number, "text": f"text {number}"} for number in (16777216, 16777217)])
    for name, first in (("wide", 1000.0), ("narrow", 16777216.0 if kind == pa.float32() else 2048.0)):
        lists = pa.array([np.array([first, 1.0], kind.to_pandas_dtype())] * 2, pa.list_(kind))
        table = pa.table({"session_id": [1, 2], "query": ["a", "b"], "results": lists, "events": lists})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r"column 'results' has whole numbers of .* last digits"):
        read(tmp_path / "narrow.parquet", items)
    with pytest.raises(DataError) as other:  # read, and no item has these ids
        read(tmp_path / "wide.parquet", items)
    assert "last digits" not in str(other.value)


def test_a_file_of_texts_to_embed_names_the_row_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "items.parquet"
    pq.write_table(pa.table({"text": pa.array([b"A tent", b"\xff"], pa.binary())}), file)
    with pytest.raises(DataError, match=r"items\.parquet:2: bytes that are no UTF-8 in a text"):
        read_texts(file, ItemTexts(RecordTexts(fields=["text"])))
