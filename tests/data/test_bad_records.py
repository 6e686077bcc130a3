"""What lies in real folders: cut, mis-encoded, mixed and doubled files, huge texts. Nothing is lost, all is counted."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hft.data import Quarantine, SessionFiles, SourceData
from hft.errors import DataError

Write = Callable[[str, Any], Path]
ITEMS = [{"item_id": name, "title": name.upper(), "text": f"text of {name}"} for name in "abcd"]


def session(query: str, **more: Any) -> dict[str, Any]:
    return {"query": query, "results": ["a", "b", "c"], "events": ["b"], **more}


def read(sessions: Path | str, items: Path | str, quarantine: Quarantine | None = None, **options: Any) -> SourceData:
    return SessionFiles(str(sessions), str(items), **options).read(quarantine or Quarantine(None, 0.5))


@pytest.fixture
def items_file(write: Write) -> Path:
    return write("items.jsonl", ITEMS)


def test_files_of_a_folder_may_differ_in_what_is_optional(write: Write, items_file: Path) -> None:
    write("log/1.jsonl", [session("one", timestamp=5, unknown={"a": 1}), session("two", session_id=7)])
    write("log/2.csv", ["events,results,query,batch_id", "b,a|b|c,three,monday"])
    write("log/deep/3.ndjson", [session("four", results=["a", "b"], events=[{"item_id": "b", "weight": 2}])])
    write("log/4.jsonl", [])
    write("log/README.md", ["not data"])
    data = read(items_file.parent / "log", items_file)
    assert [found.query for found in data.inputs] == ["one", "two", "three", "four"]
    assert [found.session_id for found in data.inputs] == ["1.jsonl:1", "7", "2.csv:2", "deep/3.ndjson:1"]
    assert [found.timestamp for found in data.inputs] == [5.0, None, None, None]
    assert [found.batch_id for found in data.inputs] == [None, None, "monday", None]
    assert data.inputs[3].events == (0.0, 2.0)


def test_a_file_of_a_folder_with_other_fields_is_named_and_stops_the_run(write: Write, items_file: Path) -> None:
    write("log/1.jsonl", [session("one")] * 500)
    write("log/2.jsonl", [{"q": "two", "results": ["a", "b"], "events": []}] * 3)
    write("log/3.jsonl", [session("three")] * 500)
    with pytest.raises(DataError, match=r"2\.jsonl: no line has the field 'query'.*data\.source\.fields\.query=q"):
        read(items_file.parent / "log", items_file)
    write("catalogue/1.jsonl", ITEMS[:2])
    write("catalogue/2.jsonl", [{"item_id": "c", "body": "text"}])
    with pytest.raises(DataError, match=r"2\.jsonl: no line has the field 'text'"):
        read(write("sessions.jsonl", [session("one")]), items_file.parent / "catalogue")


def test_a_file_of_a_folder_in_another_encoding_is_named_and_stops_the_run(write: Write, items_file: Path) -> None:
    write("log/1.jsonl", [session("one")] * 500)
    (items_file.parent / "log" / "2.jsonl").write_bytes(("\n".join([json.dumps(session("two"))] * 30)).encode("utf-16"))
    with pytest.raises(DataError, match=r"2\.jsonl: 30 of 30 lines.*not UTF-8|2\.jsonl: .*cannot be used"):
        read(items_file.parent / "log", items_file)


def test_a_few_lines_in_another_encoding_are_set_aside_with_file_and_line(
    write: Write, items_file: Path, tmp_path: Path
) -> None:
    wrong = json.dumps(session("café"), ensure_ascii=False).encode("latin-1")
    write("log/1.jsonl", [session("one"), session("two")])
    second = write("log/2.jsonl", [*[session(f"q{n}") for n in range(9)], wrong])
    with Quarantine(tmp_path / "quarantine.jsonl", 0.2) as quarantine:
        assert len(read(second.parent, items_file, quarantine).inputs) == 11
    (entry,) = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert (entry["file"], entry["line"], entry["reason"]) == (str(second), 10, "not UTF-8")


@pytest.mark.parametrize("name", ["cut.jsonl.gz", "cut.csv.gz", "cut.parquet"])
@pytest.mark.parametrize("role", ["sessions", "items"])
def test_a_file_that_was_cut_off_is_named_and_nothing_of_it_is_used(
    write: Write, items_file: Path, name: str, role: str
) -> None:
    sessions = [session(f"query {number}") for number in range(3000)]
    items = [{"item_id": f"i{number}", "text": f"text {number}"} for number in range(3000)]
    rows: list[dict[str, Any]] = sessions if role == "sessions" else items
    if name.endswith(".parquet"):
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), buffer)
        whole = buffer.getvalue()
    else:
        lines = [json.dumps(row) for row in rows]
        if ".csv" in name:
            cells = [["|".join(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in rows]
            lines = [",".join(rows[0]), *(",".join(row) for row in cells)]
        whole = gzip.compress("\n".join(lines).encode())
    path = items_file.parent / name
    path.write_bytes(whole[: len(whole) * 2 // 3])
    files = {"sessions": write("sessions.jsonl", sessions), "items": items_file, role: path}
    with pytest.raises(DataError, match=rf"{name}.*(cut off or damaged|cannot be read as Parquet)"):
        read(files["sessions"], files["items"])


def test_a_last_line_that_was_cut_off_is_set_aside(write: Write, items_file: Path) -> None:
    path = write("sessions.jsonl", [session(f"q{number}") for number in range(200)])
    path.write_bytes(path.read_bytes()[:-30])
    quarantine = Quarantine(None, 0.01)
    assert len(read(path, items_file, quarantine).inputs) == 199
    assert quarantine.reasons == {"malformed JSON": 1}


def test_one_id_for_two_items_in_two_files_keeps_the_first_and_names_the_other(write: Write, tmp_path: Path) -> None:
    write("catalogue/1.jsonl", ITEMS)
    second = write("catalogue/2.jsonl", [ITEMS[1], {"item_id": "a", "text": "another"}, {"item_id": "e", "text": "e"}])
    with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
        data = read(write("sessions.jsonl", [session("q")]), second.parent, quarantine)
    assert data.items.ids == list("abcde")
    assert data.items.texts[0] == "A\ntext of a"
    assert data.dropped["identical lines of items"] == 1
    (entry,) = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert (entry["file"], entry["line"], entry["reason"]) == (str(second), 2, "another item has this id")


def test_sessions_of_one_id_are_all_kept_for_the_rules_that_come_after(write: Write, items_file: Path) -> None:
    write("log/1.jsonl", [session("one", session_id="s"), session("one", session_id="s")])
    write("log/2.jsonl", [session("other", session_id="s", events=["c"])])
    data = read(items_file.parent / "log", items_file)
    assert [(found.session_id, found.query) for found in data.inputs] == [("s", "one"), ("s", "one"), ("s", "other")]


def test_timestamps_out_of_order_are_kept_as_they_are(write: Write, items_file: Path) -> None:
    times = [30, "2026-01-01T00:00:00Z", 1.5, None, "2025-12-31T23:59:59+02:00", -7]
    data = read(write("sessions.jsonl", [session("q", timestamp=time) for time in times]), items_file)
    assert [found.timestamp for found in data.inputs] == [30.0, 1767225600.0, 1.5, None, 1767218399.0, -7.0]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_texts_of_megabytes_are_read_whole(write: Write, items_file: Path, suffix: str) -> None:
    long = "слово 🍎 " * 300_000
    items = [*ITEMS, {"item_id": "long", "title": "t", "text": long}]
    rows = [session("short"), session(long.strip(), results=["a", "long"], events=["long"])]
    if suffix == "csv":
        files = [
            write("many.csv", ["query,results,events", "short,a|b|c,b", f'"{long.strip()}",a|long,long']),
            write("things.csv", ["item_id,title,text", *(f"{i['item_id']},{i['title']},{i['text']}" for i in items)]),
        ]
    elif suffix == "parquet":
        files = [items_file.parent / "many.parquet", items_file.parent / "things.parquet"]
        for path, table in zip(files, (rows, items), strict=True):
            pq.write_table(pa.Table.from_pylist(table), path)
    else:
        files = [write("many.jsonl", rows), write("things.jsonl", items)]
    data = read(*files)
    assert data.inputs[1].query == long.strip()
    assert data.items.texts[-1] == f"t\n{long.strip()}"
    assert data.inputs[1].events == (0.0, 1.0)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_sessions_of_ten_thousand_results_are_read_from_tables(write: Write, items_file: Path, suffix: str) -> None:
    names = [f"item{number}" for number in range(10_000)]
    items = write("many_items.jsonl", [{"item_id": name, "text": name} for name in names])
    path = items_file.parent / f"sessions.{suffix}"
    if suffix == "csv":
        write("sessions.csv", ["query,results,events", f"all,{'|'.join(names)},{names[-1]}"])
    else:
        pq.write_table(pa.Table.from_pylist([{"query": "all", "results": names, "events": names[-1:]}]), path)
    (found,) = read(path, items).inputs
    assert found.results == tuple(names)
    assert found.events[-1] == sum(found.events) == 1.0


@pytest.mark.parametrize(
    ("language", "names", "texts"),
    [
        ("ar", ("استعلام", "نتائج", "نقرات"), ["خيمة للتخييم", "موقد صغير", "حذاء المشي", "مصباح"]),
        ("he", ("שאילתה", "תוצאות", "לחיצות"), ["אוהל", "כירה קטנה", "נעלי הליכה", "פנס"]),
        ("ja", ("検索語", "結果", "クリック"), ["テント", "ストーブ", "登山靴", "ランプ"]),
        (
            "de",
            ("Suchbegriff", "Treffer.Liste", "Klicks"),
            ["Zelt für Übernachtung", "Öfchen", "Straßenschuhe", "Lampe"],
        ),
        ("emoji", ("🔎", "📋", "👆"), ["⛺️", "🔥", "🥾", "👩🏽‍🚀"]),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_another_schema_in_another_language_is_read_by_naming_its_fields(
    write: Write, tmp_path: Path, language: str, names: tuple[str, str, str], texts: list[str], suffix: str
) -> None:
    items = write("Λίστα/items.jsonl", [{"id": text, "κείμενο": text} for text in texts])
    rows = [dict(zip(names, (text, texts, [text]), strict=True)) for text in texts]
    path = tmp_path / f"{language}.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == "csv":
        write(path.name, [";".join(names), *(f"{text};{'|'.join(texts)};{text}" for text in texts)])
    else:
        write(path.name, [json.dumps(row, ensure_ascii=False) for row in rows])
    fields: dict[str, Any] = dict(zip(("query", "results", "events"), names, strict=True))
    data = read(path, items, fields={**fields, "item_id": "id", "text": "κείμενο"}, csv_delimiter=";")
    assert [found.query for found in data.inputs] == texts
    assert [found.results[found.events.index(1.0)] for found in data.inputs] == texts
    assert data.items.texts == texts


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pa.array([0, 2**62, 0, 0], pa.timestamp("us")), "field 'at': this timestamp[us] cannot be read (date value"),
        (
            pa.array([b"fine", b"caf\xe9", b"fine", b"fine"]).cast(pa.string(), safe=False),
            "not UTF-8",
        ),
    ],
)
def test_one_value_that_has_no_form_costs_its_own_row(
    items_file: Path, tmp_path: Path, column: pa.Array, told: str
) -> None:
    table = pa.Table.from_pylist([session(f"q{number}") for number in range(4)]).append_column("at", column)
    pq.write_table(table, tmp_path / "sessions.parquet")
    with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
        data = read(tmp_path / "sessions.parquet", items_file, quarantine)
    assert [found.query for found in data.inputs] == ["q0", "q2", "q3"]
    (entry,) = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert (entry["line"], json.loads(entry["raw"])["query"]) == (2, "q1")
    assert entry["reason"].startswith(told)


def test_a_zone_that_nobody_knows_is_told_by_its_column(items_file: Path, tmp_path: Path) -> None:
    times = pa.array([1, 2], pa.timestamp("us", tz="Mars/Phobos"))
    table = pa.Table.from_pylist([session("q1"), session("q2")]).append_column("at", times)
    pq.write_table(table, tmp_path / "sessions.parquet")
    with pytest.raises(DataError, match=r"2 of 2 lines .*field 'at': this timestamp\[us, tz=Mars/Phobos\] cannot be"):
        read(tmp_path / "sessions.parquet", items_file)
