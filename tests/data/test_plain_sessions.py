"""The short way for plain lines gives what the careful way gives, to the last bit, and takes no line that it doubts."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hft.data import ItemsSet, Quarantine, SessionFiles
from hft.data.events import EVENT_WEIGHTS
from hft.data.field_names import field_names
from hft.data.plain_sessions import PlainSessions
from hft.data.records import NamedPlace
from hft.data.row_records import RowRecords
from hft.data.session_lines import SessionLines

IDS = ["a", "b", "c", "1", "2", "3", "-4", "10000000000000000000000", "é", "1.0", "true"]
GOOD = {"session_id": "s", "query": "q", "results": ["a", "b"], "events": ["a"]}

_ids = st.sampled_from([*IDS, 1, 2, 3, -4, 10**22, 1.0, True, None, "gone", "", ["a"]])
_ids_of_one_kind = st.one_of(
    st.lists(st.sampled_from(IDS), min_size=0, max_size=5, unique=True),
    st.lists(st.sampled_from([1, 2, 3, -4]), min_size=0, max_size=4, unique=True),
    st.lists(_ids, max_size=4),
)
_numbers = st.sampled_from([0, 1, 2.5, -1, 0.0, 1e300, 10**400, 3, "1", "x", True, None, "NaN-token", "1e999-token"])
_objects = st.fixed_dictionaries(
    {"item_id": _ids},
    optional={
        "type": st.sampled_from(["click", "cart", "impression", "other", None, 1]),
        "weight": _numbers,
        "dwell": _numbers,
    },
)
_events = st.one_of(_ids_of_one_kind, st.lists(_numbers, max_size=4), st.lists(_objects, max_size=3), st.none(), _ids)
_times = st.sampled_from(
    [0, 5, 1.5, 1767312000, 1767312000000, 10**20, "5", "2026-01-02T03:04:05", "2026-01-02 03:04:05.25+02:00", "never",
     "2026-13-02T03:04:05", "2026-01-02T03:04:05Z", "2026-01-02", "2026-01-02T03:04:60Z", "0000-01-02T03:04:05",
     "2026-01-02T03:04:05+24:00", "٢٠٢٦-01-02T03:04:05", True, None, [], "NaN-token"]
)  # fmt: skip
_texts = st.sampled_from(["x", "", " x", "x\u00a0", "x\x1f", "\x1c", 1, 10**30, 1.5, True, None, "😀", {"a": 1}])
_session = st.fixed_dictionaries(
    {"query": st.one_of(st.just("q"), _texts), "results": _ids_of_one_kind, "events": _events},
    optional={
        "session_id": _texts,
        "batch_id": _texts,
        "group": _texts,
        "split": _texts,
        "user_id": _texts,
        "sort_by": _texts,
        "user_agent": _texts,
        "is_irrelevant": st.sampled_from([True, False, None, 0, 1, "yes", "maybe"]),
        "ranks": st.one_of(st.lists(_numbers, max_size=4), st.none()),
        "timestamp": _times,
        "other": st.sampled_from([1, "NaN-token", None]),
    },
)


def line_of(fields: Any) -> bytes:
    text = json.dumps(fields, ensure_ascii=False)
    return text.replace('"NaN-token"', "NaN").replace('"1e999-token"', "1e999").encode()


def read(folder: Path, lines: list[bytes], **options: Any) -> dict[str, Any]:
    sessions, items, kept = folder / "sessions.jsonl", folder / "items.jsonl", folder / "quarantine.jsonl"
    sessions.write_bytes(b"\n".join(lines) + b"\n")
    items.write_text("".join(json.dumps({"item_id": name, "text": f"text {name}"}) + "\n" for name in IDS))
    kept.unlink(missing_ok=True)
    with Quarantine(kept, 1.0) as quarantine:
        data = SessionFiles(sessions, items, **options).read(quarantine)
    return {
        "rows": data.inputs.table.to_pylist(),
        "dropped": data.dropped,
        "lines": kept.read_text() if kept.exists() else "",
        "read": dict(quarantine.read),
        "left out": dict(quarantine.left_out),
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(_session, min_size=1, max_size=12), fields=st.sampled_from([None, {"weights": "events"}]))
def test_the_short_way_equals_the_careful_way(
    lines: list[Any], fields: dict[str, str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = [line_of(GOOD | {"events": []}), *map(line_of, lines), b"{broken", b"[1]", b'{"query": "caf\xe9"}']
    short = read(tmp_path, encoded, fields=fields)
    with monkeypatch.context() as patch:
        patch.setattr(PlainSessions, "read", lambda self, line, number: False)
        careful = read(tmp_path, encoded, fields=fields)
    assert short == careful


@pytest.mark.parametrize(
    "line",
    [
        GOOD,
        GOOD | {"results": [1, 2], "events": [2]},
        GOOD | {"events": [{"item_id": "b", "type": "cart"}], "ranks": [2, 1.5], "group": 7, "unknown": {}},
        GOOD | {"events": None, "is_irrelevant": True, "timestamp": "2026-01-02T03:04:05Z"},
    ],
)
def test_plain_lines_take_the_short_way(line: Any) -> None:
    plain = PlainSessions(Path("clicks.jsonl"), field_names(None), pa.array(IDS), EVENT_WEIGHTS)
    assert plain.read(line_of(line), 7)
    assert plain.fields == set(line)
    batch, numbers, doubtful = plain.finish_block()
    assert (batch.num_rows, numbers.tolist(), doubtful.tolist()) == (1, [7], [])
    assert len(plain) == 0


def test_lines_of_both_ways_stay_in_their_order_whatever_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [GOOD, GOOD | {"results": ["a", "gone", "b"]}, GOOD | {"results": ["a"]}, GOOD | {"query": " q "}, "broken"]
    order = np.random.default_rng(0).integers(0, len(kinds), 60)
    lines = [GOOD | {"session_id": ""}, *(kinds[kind] for kind in order)]
    encoded = [
        line_of(line | {"session_id": f"s{n}"} if n and line != "broken" else line) for n, line in enumerate(lines)
    ]
    found = []
    for block in (1, 2, 7, 1000):
        monkeypatch.setattr("hft.data.session_lines.BLOCK_LINES", block)
        found.append(read(tmp_path, encoded))
    assert found[0] == found[1] == found[2] == found[3]
    ids = [row["session_id"] for row in found[0]["rows"]]
    assert ids == sorted(ids, key=lambda name: int(name.lstrip("s").rpartition(":")[2]) if name[1:].isdigit() else -1)
    asides = [json.loads(line)["line"] for line in found[0]["lines"].splitlines()]
    assert asides == sorted(asides)


def test_a_field_that_only_plain_lines_have_counts_as_seen(tmp_path: Path) -> None:
    lines = [line_of(GOOD), line_of(GOOD | {"day": "monday"}), line_of(GOOD)]
    found = read(tmp_path, lines, fields={"batch_id": "day"})
    assert [row["batch_id"] for row in found["rows"]] == [None, "monday", None]


def test_blocks_of_any_size_make_the_same_columns() -> None:
    from hft.data.session_columns import SessionColumns

    items = ItemsSet.from_columns(IDS, IDS)
    found = []
    for block in (1, 3, 100):
        columns = SessionColumns(items, block)
        for number in range(7):
            ranks = [1.0, 0.5] if number % 2 else None
            text = None if number % 3 else str(number)
            columns.append(
                f"s{number}",
                "q",
                [number, 0],
                [0.0, 1.0],
                ranks,
                None if number < 2 else 1.5,
                number == 4,
                text,
                None,
                text,
            )
        assert len(columns) == 7
        found.append(columns.finish().table.to_pylist())
    assert found[0] == found[1] == found[2]
    assert found[0][1]["ranks"] == [1.0, 0.5]
    assert found[0][0]["ranks"] is None
    assert (found[0][0]["timestamp"], found[0][2]["timestamp"]) == (None, 1.5)


_values = st.one_of(
    _ids,
    st.sampled_from([Decimal("1"), Decimal("1.00"), Decimal("2.5"), Decimal("1E+3"), Decimal("NaN"), float("nan")]),
    st.sampled_from([date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2, tzinfo=UTC), time(3, 4)]),
    st.sampled_from([b"a", b"\xe9", UUID(int=1), timedelta(seconds=5), 2.0**60, (1, 2), {"a": Decimal("1.0")}]),
    st.sampled_from([np.float64(1.0), np.float32(2.5), np.int64(3)]),
)
_row = st.fixed_dictionaries(
    {
        "query": st.one_of(st.just("q"), _values),
        "results": st.one_of(st.just(["a", "b", "1"]), st.lists(_values, max_size=4), _values),
        "events": st.one_of(st.lists(_values, max_size=3), st.none(), st.just("a|b"), _values),
    },
    optional=dict.fromkeys(("session_id", "batch_id", "group", "split", "user_id", "sort_by", "timestamp"), _values)
    | {"ranks": st.lists(_values, max_size=4), "other": _values},
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(_row, min_size=1, max_size=8), fields=st.sampled_from([None, {"weights": "events"}]))
def test_rows_of_any_types_are_read_alike_by_both_ways_and_wherever_they_stand(
    rows: list[dict[str, Any]], fields: dict[str, str] | None
) -> None:
    short, careful, alone = read_rows([GOOD, *rows, *rows], fields), {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainSessions, "read", lambda self, line, number: False)
        careful = read_rows([GOOD, *rows, *rows], fields)
        alone = [read_rows([row], fields) for row in rows]
    assert short == careful
    left_out = [number for number, _ in short["lines"]]
    assert [bool(each["lines"]) for each in alone] * 2 == [number in left_out for number in range(2, 2 + 2 * len(rows))]


def read_rows(rows: list[dict[str, Any]], fields: dict[str, str] | None) -> dict[str, Any]:
    """Rows of a query of a database, read as sessions."""
    set_aside: list[tuple[int, str]] = []

    class Kept(Quarantine):
        def add(self, file: Path | str, line: int, reason: str, raw: str | bytes) -> None:
            set_aside.append((line, reason))

    names = field_names(fields)
    quarantine, place = Kept(), NamedPlace("sessions", "sessions")
    lines = SessionLines(place, names, ItemsSet.from_columns(IDS, IDS), EVENT_WEIGHTS, quarantine)
    made = RowRecords("sessions", (names.results, names.events_field, names.ranks), "|", quarantine)
    for row in rows:
        record = made.of_row(dict(row))
        if record is not None:
            lines.add(record)
    lines.finish_block()
    return {"rows": lines._columns.finish().table.to_pylist(), "lines": sorted(set_aside)}
