from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hft.data import FineTuningInput, Quarantine, SessionFiles
from hft.data.events import IDS_NOT_WEIGHTS
from hft.errors import ConfigError, DataError

Write = Callable[[str, Any], Path]
ITEMS = [{"item_id": item_id, "title": item_id.upper(), "text": f"text of {item_id}"} for item_id in "abcd"]
SESSIONS = [
    {"session_id": "s1", "query": "first", "results": ["a", "b", "c"], "events": ["b"], "batch_id": "monday"},
    {"session_id": "s2", "query": "second", "results": ["c", "d"], "events": [], "is_irrelevant": True},
]
EXPECTED = [
    FineTuningInput("s1", "first", ("a", "b", "c"), (0.0, 1.0, 0.0), batch_id="monday"),
    FineTuningInput("s2", "second", ("c", "d"), (0.0, 0.0), is_irrelevant=True),
]


def read(sessions: Path, items: Path, quarantine: Quarantine | None = None, **options: Any) -> list[FineTuningInput]:
    return list(SessionFiles(sessions, items, **options).read(quarantine or Quarantine()).inputs)


@pytest.fixture
def items_file(write: Write) -> Path:
    return write("items.jsonl", ITEMS)


def test_json_lines_are_read(write: Write, items_file: Path) -> None:
    assert read(write("sessions.jsonl", SESSIONS), items_file) == EXPECTED
    assert read(write("sessions.NDJSON.gz", SESSIONS), items_file) == EXPECTED


def test_csv_is_read_with_lists_by_separator_or_as_json(write: Write, items_file: Path) -> None:
    header = "session_id,query,results,events,is_irrelevant,batch_id"
    rows = [header, "s1,first,a|b|c,b,,monday", 's2,second,"[""c"", ""d""]",,true,']
    assert read(write("sessions.csv", rows), items_file) == EXPECTED
    tabs = [header.replace(",", "\t"), "s1\tfirst\ta b c\tb\t\tmonday", "s2\tsecond\tc d\t\t1\t"]
    assert read(write("sessions.tsv.gz", tabs), items_file, list_separator=" ") == EXPECTED
    semicolons = [row.replace(",", ";") for row in rows[:2]]
    assert read(write("other.csv", semicolons), items_file, csv_delimiter=";") == EXPECTED[:1]


def test_parquet_is_read(tmp_path: Path, items_file: Path) -> None:
    path = tmp_path / "sessions.parquet"
    pq.write_table(pa.Table.from_pylist([{"batch_id": None, "is_irrelevant": None} | row for row in SESSIONS]), path)
    assert read(path, items_file) == EXPECTED


def test_items_are_read_from_each_format(write: Write, tmp_path: Path) -> None:
    sessions = write("sessions.jsonl", SESSIONS)
    table = write("items.csv", ["item_id,title,text", *(f'{i},{i.upper()},"text\nof {i}"' for i in "abcd")])
    parquet = tmp_path / "items.parquet"
    pq.write_table(pa.Table.from_pylist(ITEMS), parquet)
    assert read(sessions, table) == read(sessions, parquet) == EXPECTED
    assert SessionFiles(sessions, table).read(Quarantine()).items.texts[0] == "A\ntext\nof a"


def test_fields_have_the_users_names(write: Write) -> None:
    items = write("items.jsonl", [{"id": 1, "name": "One", "info": {"about": "x"}}, {"id": 2, "name": "Two"}])
    sessions = write(
        "sessions.jsonl",
        [{"q": {"text": "first"}, "shown": [1, 2], "log": [{"doc": 2, "action": "buy"}], "ts": "2026-01-02T00:00:00"}],
    )
    names = {
        "query": "q.text",
        "results": "shown",
        "events": "log",
        "event_item_id": "doc",
        "event_type": "action",
        "timestamp": "ts",
        "item_id": "id",
        "title": "name",
        "text": ["name", "info.about"],
    }
    data = SessionFiles(sessions, items, fields=names, event_weights={"buy": 7.0}).read(Quarantine())
    assert data.items.texts == ["One\nx", "Two"]
    assert data.inputs[0] == FineTuningInput(
        "sessions.jsonl:1", "first", ("1", "2"), (0.0, 7.0), timestamp=1767312000.0
    )


def test_ranks_group_and_split_come_along(write: Write, items_file: Path) -> None:
    more = {"ranks": [0.5, 0.25, 0.125], "group": "user 7", "split": "test", "timestamp": 5}
    source = SessionFiles(write("sessions.jsonl", [SESSIONS[0] | more, SESSIONS[1]]), items_file)
    inputs = source.read(Quarantine()).inputs
    assert inputs[0].ranks == (0.5, 0.25, 0.125)
    assert inputs[0].timestamp == 5.0
    assert inputs[1].ranks is None
    assert inputs.table.column("group").to_pylist() == ["user 7", None]
    assert inputs.table.column("split").to_pylist() == ["test", None]


BAD_LINES: list[tuple[Any, str]] = [
    ("{broken", "malformed JSON"),
    ('["a"]', "not an object"),
    (b'{"query": "caf\xe9", "results": ["a", "b"], "events": []}', "not UTF-8"),
    (r'{"query": "\ud800", "results": ["a", "b"], "events": []}', "malformed JSON"),
    ({"results": ["a", "b"], "events": []}, "missing field 'query'"),
    ({"query": "q", "events": []}, "missing field 'results'"),
    ({"query": "q", "results": ["a", "b"]}, "missing field 'events'"),
    ({"query": "  ", "results": ["a", "b"], "events": []}, "field 'query': String should have at least 1 character"),
    ({"query": ["q"], "results": ["a", "b"], "events": []}, "field 'query': Input should be a valid string"),
    ({"query": "q", "results": "a", "events": []}, "field 'results': Input should be a valid list"),
    ({"query": "q", "results": ["a", "b"], "events": ["d"]}, "an event on a result that was not shown"),
    ({"query": "q", "results": ["a", "b"], "events": [1, 0]}, IDS_NOT_WEIGHTS),
    ({"query": "q", "results": ["a", "b"], "events": [1]}, "an event on a result that was not shown"),
    (
        {"query": "q", "results": ["a", True], "events": []},
        "field 'results': expected an id, a text or a whole number, found true or false",
    ),
    ('{"query": "q", "query": "r", "results": ["a", "b"], "events": []}', "the name 'query' stands twice in an object"),
    (
        '{"query": "q", "results": ["a", "b"], "events": [{"item_id": "a", "item_id" : "b"}]}',
        "the name 'item_id' stands twice in an object",
    ),
    ({"query": "q", "results": ["a", "a"], "events": []}, "fewer than two results"),
    ({"query": "q", "results": ["a"], "events": ["a"]}, "fewer than two results"),
    ({"query": "q", "results": ["a", "b"], "events": [], "ranks": [1]}, "as many ranks as results were expected"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_line_that_cannot_be_used_is_set_aside(
    write: Write, items_file: Path, tmp_path: Path, line: Any, reason: str
) -> None:
    sessions = write("sessions.jsonl", [SESSIONS[0], line, SESSIONS[1]])
    with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
        assert read(sessions, items_file, quarantine) == EXPECTED
    (entry,) = [json.loads(text) for text in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert (entry["file"], entry["line"], entry["reason"]) == (str(sessions), 2, reason)
    assert entry["raw"].startswith(line[:5] if isinstance(line, str) else "{")


def test_results_without_an_item_or_twice_are_left_out_and_noted(write: Write, items_file: Path) -> None:
    sessions = write(
        "sessions.jsonl",
        [
            {"query": "q", "results": ["a", "gone", "b"], "events": ["b", "gone"], "ranks": [3, 2, 1]},
            {"query": "q", "results": ["a", "b", "a"], "events": ["a"]},
        ],
    )
    quarantine = Quarantine(None, 0.0)
    first, second = read(sessions, items_file, quarantine)
    assert (first.results, first.events, first.ranks) == (("a", "b"), (0.0, 1.0), (3.0, 1.0))
    assert (second.results, second.events) == (("a", "b"), (1.0, 0.0))
    assert set(quarantine.reasons) == {
        "results that no item has the id of were left out",
        "results that stand twice were left out",
    }
    assert quarantine.count == 0


@pytest.mark.parametrize("fields", [None, {"session_id": "meta.id"}])  # the short way, and the careful one
def test_a_session_left_alone_by_unknown_items_is_dropped_and_no_malformed_line(
    write: Write, items_file: Path, tmp_path: Path, fields: dict[str, Any] | None
) -> None:
    known = {"query": "q", "results": ["a", "b"], "events": ["a"], "meta": {"id": "s"}}
    lines = [
        known,
        *[{**known, "results": ["a", f"gone{number}", "lost"]} for number in range(20)],
        {**known, "results": ["gone0", "a", "b"]},
        {**known, "results": ["lost"], "events": []},
        *[known] * 900,
    ]
    source = SessionFiles(str(write("sessions.jsonl", lines)), str(items_file), fields=fields)  # type: ignore[arg-type]
    with Quarantine(tmp_path / "quarantine.jsonl", 0.01) as quarantine:
        data = source.read(quarantine)
    assert len(data.inputs) == 902
    assert data.dropped["items that sessions show and that cannot be loaded"] == 21
    assert data.dropped["sessions left with fewer than two results"] == 20
    entries = [json.loads(text) for text in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert [entry["left_out"] for entry in entries if "left_out" in entry] == [
        *[[f"gone{number}", "lost"] for number in range(20)],
        ["gone0"],
        ["lost"],
    ]
    left_alone = [entry for entry in entries if entry["reason"] == "sessions left with fewer than two results"]
    assert [(entry["line"], entry["kept"]) for entry in left_alone] == [(line, False) for line in range(2, 22)]
    assert quarantine.left_out == {str(tmp_path / "sessions.jsonl"): 1}
    assert source.read(Quarantine()).dropped == data.dropped


def test_results_stand_where_they_were_shown_though_others_are_unknown(write: Write, items_file: Path) -> None:
    shown = [["gone", "a", "b"], ["a", "b", "a", "c"], ["b", "c"]]
    lines = [{"query": f"q{number}", "results": results, "events": ["b"]} for number, results in enumerate(shown)]
    inputs = SessionFiles(write("sessions.jsonl", lines), items_file).read(Quarantine()).inputs
    assert [session.results for session in inputs] == [("a", "b"), ("a", "b", "c"), ("b", "c")]
    assert inputs.flat_positions.tolist() == [1, 2, 0, 1, 3, 0, 1]


def test_identical_items_are_merged_and_others_with_the_same_id_set_aside(write: Write) -> None:
    items = write("items.jsonl", [*ITEMS, ITEMS[0], {"item_id": "a", "text": "other"}, {"item_id": "e", "text": " "}])
    quarantine = Quarantine(None, 0.5)
    data = SessionFiles(write("sessions.jsonl", SESSIONS), items).read(quarantine)
    assert len(data.items) == 4
    assert data.dropped["identical lines of items"] == 1
    assert quarantine.reasons == {"another item has this id": 1, "no text in title, text": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("s9,q,a|b", "3 cells where the header has 4"),
        ('s9,q,"[1, ",', "field 'results': malformed JSON in the cell"),
        ("s9,,a|b,a", "missing field 'query'"),
        (b"s9,caf\xe9,a|b,a", "not UTF-8"),
    ],
)
def test_a_row_that_cannot_be_used_is_set_aside(write: Write, items_file: Path, row: Any, reason: str) -> None:
    quarantine = Quarantine(None, 0.5)
    sessions = write("sessions.csv", ["session_id,query,results,events", "s1,first,a|b,b", row, "s2,second,c|d,c"])
    assert [found.session_id for found in read(sessions, items_file, quarantine)] == ["s1", "s2"]
    assert quarantine.reasons == {reason: 1}
    assert quarantine.read[str(sessions)] == 3


def test_a_cell_keeps_its_empty_lines_and_lines_their_numbers(write: Write, tmp_path: Path) -> None:
    items = write("items.csv", ["", "item_id,text", 'a,"one', "", " ", 'two"', "", 'b,"end', '"', "c", "d,four"])
    sessions = write("sessions.jsonl", [{"query": "q", "results": ["a", "b"], "events": ["a"]}])
    with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
        data = SessionFiles(sessions, items).read(quarantine)
    assert data.items.texts == ["one\n\n \ntwo", "end", "four"]
    (entry,) = [json.loads(text) for text in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert (entry["line"], entry["reason"]) == (10, "1 cells where the header has 2")


def test_lines_that_an_open_quote_swallows_are_each_counted(write: Write, items_file: Path) -> None:
    rows = ["session_id,query,results,events", "s1,first,a|b,b", 's2,"open,a|b,b', "s3,third,a|b,a", "s4,last,a|b,a"]
    quarantine = Quarantine(None, 1.0)
    sessions = write("sessions.csv", rows)
    assert [found.session_id for found in read(sessions, items_file, quarantine)] == ["s1"]
    assert quarantine.left_out[str(sessions)] == 3
    with pytest.raises(DataError, match="3 of 4 lines"):
        read(sessions, items_file)


def test_a_blank_optional_cell_is_nothing(write: Write, items_file: Path) -> None:
    rows = ["query,results,events,ranks,timestamp", "first,a|b,b,,", "second,a|b,b,2|1,7"]
    first, second = read(write("sessions.csv", rows), items_file)
    assert (first.ranks, first.timestamp) == (None, None)
    assert (second.ranks, second.timestamp) == ((2.0, 1.0), 7.0)


def test_a_session_of_ten_thousand_results_is_read(write: Write) -> None:
    ids = [f"item {number}" for number in range(10_000)]
    items = write("items.jsonl", [{"item_id": name, "text": name} for name in ids])
    (session,) = read(write("sessions.jsonl", [{"query": "all", "results": ids, "events": ids[-1:]}]), items)
    assert session.results == tuple(ids)
    assert session.events[-1] == sum(session.events) == 1.0


def test_too_many_malformed_lines_stop_the_run(write: Write, items_file: Path, tmp_path: Path) -> None:
    sessions = write("sessions.jsonl", [*SESSIONS, *["{broken"] * 3])
    with pytest.raises(DataError, match=r"3 of 5 lines.*data\.max_quarantined_share"):
        read(sessions, items_file, Quarantine(tmp_path / "quarantine.jsonl", 0.01))
    assert (tmp_path / "quarantine.jsonl").exists()


@pytest.mark.parametrize("name", ["sessions.jsonl", "sessions.csv", "sessions.jsonl.gz"])
def test_an_empty_file_is_told(write: Write, items_file: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}.*empty"):
        read(write(name, []), items_file)


def test_a_file_that_is_missing_damaged_or_of_unknown_format_is_told(
    write: Write, items_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"data\.source\.sessions: .*nowhere\.jsonl"):
        read(tmp_path / "nowhere.jsonl", items_file)
    with pytest.raises(DataError, match=r"xlsx.*Expected: \.jsonl"):
        read(write("sessions.xlsx", ["x"]), items_file)
    with pytest.raises(DataError, match=r"sessions\.parquet.*Parquet") as error:
        read(write("sessions.parquet", ["not parquet"]), items_file)
    assert ".." not in str(error.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"data\.source\.sessions: .* is a folder without .*there: nothing"):
        read(tmp_path / "empty", items_file)
    with pytest.raises(DataError, match=r"data\.source\.items"):
        read(write("sessions.jsonl", SESSIONS), tmp_path / "nowhere.csv")


@pytest.mark.parametrize(("field", "rename"), [("query", "querry"), ("results", "result"), ("events", "event")])
def test_a_field_in_no_line_is_told_with_the_key_to_set(
    write: Write, items_file: Path, field: str, rename: str
) -> None:
    lines = [{(rename if name == field else name): value for name, value in line.items()} for line in SESSIONS[:1]]
    message = (
        rf"no line has the field '{field}' \(did you mean '{rename}'\?\).*data\.source\.fields\.{field}={rename}\."
    )
    with pytest.raises(DataError, match=message):
        read(write("sessions.jsonl", lines * 3), items_file)


OTHER_NAMES = [{"q": "first", "shown": ["a", "b"], "event": ["a"]}] * 60


def test_most_lines_without_required_fields_are_told_the_keys_and_not_the_share(write: Write, items_file: Path) -> None:
    with pytest.raises(DataError) as error:
        read(write("sessions.jsonl", [*OTHER_NAMES, "{broken", "[1]", SESSIONS[0]]), items_file)
    told = str(error.value)
    for part in ("most of the 61 readable lines lack the fields 'query' (in 1 of 61)", "q, ", "shown", "'event'?"):
        assert part in told
    for setting in ("query=", "results=NAME", "events=event"):
        assert f"data.source.fields.{setting}" in told
    assert "max_quarantined_share" not in told


def test_lines_that_omit_their_events_are_told_to_give_them(write: Write, items_file: Path) -> None:
    silent = {"query": "q", "results": ["a", "b"]}
    with pytest.raises(DataError, match=r"lack the field 'events' \(in 2 of 42\).*Or give the field in every line"):
        read(write("sessions.jsonl", [*SESSIONS, *[silent] * 40]), items_file)


def test_fields_that_both_files_lack_are_told_at_once(write: Write) -> None:
    items = write("items.jsonl", [{"sku": "a", "body": "x"}] * 3)
    with pytest.raises(DataError) as error:
        read(write("sessions.jsonl", OTHER_NAMES), items)
    for key in ("item_id=NAME", "text=NAME", "query=", "results=NAME", "events=event"):
        assert f"data.source.fields.{key}" in str(error.value)


@pytest.mark.parametrize("separator", [",", ";", " ", "\t"])
def test_a_cell_with_another_separator_between_its_ids_is_told(write: Write, items_file: Path, separator: str) -> None:
    quarantine = Quarantine(None, 1.0)
    rows = ["query,results,events", f'one,"a{separator}b{separator}c",b', f'two,a|b|c,"b{separator}c"', "three,a|b,a"]
    assert len(read(write("sessions.csv", rows), items_file, quarantine)) == 1
    assert len(quarantine.reasons) == 2
    for reason, field in zip(quarantine.reasons, ("results", "events"), strict=True):
        assert reason.startswith(f"field {field!r}: several ids with {separator!r} between them")
        assert "separate ids by |" in reason
        assert "data.source.list_separator=" in reason


@pytest.mark.parametrize(("delimiter", "advice"), [(";", "csv_delimiter=';'"), ("\t", r"Name the file \.tsv")])
def test_a_table_with_another_delimiter_is_told(write: Write, items_file: Path, delimiter: str, advice: str) -> None:
    rows = [delimiter.join(row) for row in (("query", "results", "events"), ("one", "a|b", "a"))]
    with pytest.raises(DataError, match=f"separator between cells looks wrong.*{advice}"):
        read(write("sessions.csv", rows), items_file)


def test_a_table_without_a_usable_row_is_not_called_empty(write: Write, items_file: Path) -> None:
    with pytest.raises(DataError, match=r"2 of 2 lines.*4 cells where the header has 3"):
        read(write("sessions.csv", ["query,results,events", "one,a,b,a", "two,a,b,b"]), items_file)


def test_an_optional_field_that_was_named_must_be_there(write: Write, items_file: Path) -> None:
    with pytest.raises(DataError, match=r"'batch'.*data\.source\.fields\.batch_id"):
        read(write("sessions.jsonl", SESSIONS), items_file, fields={"batch_id": "batch"})


@pytest.mark.parametrize(("field", "wrong"), [("item_id", "id"), ("text", "body")])
def test_items_without_the_named_field_are_told(write: Write, field: str, wrong: str) -> None:
    items = write("items.jsonl", ITEMS)
    with pytest.raises(DataError, match=rf"'{wrong}'.*data\.source\.fields\.{field}"):
        read(write("sessions.jsonl", SESSIONS), items, fields={field: wrong})


def test_a_misspelt_field_name_is_refused(write: Write, items_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.source\.fields\.querry.*'query'"):
        SessionFiles(write("sessions.jsonl", SESSIONS), items_file, fields={"querry": "q"})


def test_other_scripts_and_emoji_survive(write: Write) -> None:
    texts = ["שלום עולם", "مرحبا", "日本語のテキスト", "🍎🍐"]
    items = write("items.jsonl", [{"item_id": text, "text": text} for text in texts])
    sessions = write("sessions.jsonl", [{"query": text, "results": texts, "events": [text]} for text in texts])
    found = read(sessions, items)
    assert [session.query for session in found] == texts
    assert [session.results[session.events.index(1.0)] for session in found] == texts


def test_a_config_that_lists_every_name_asks_for_no_optional_field() -> None:
    from hft.data.field_names import FieldNames, field_names

    listed = FieldNames().model_dump()
    assert field_names(listed).model_fields_set == set()
    assert field_names({**listed, "ranks": "score"}).model_fields_set == {"ranks"}
