"""Who asked, what sorted the results, with which program, how long the user stayed: from the file to the session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hft.data import FineTuningInputs, Quarantine, QuerySplitter, SessionFiles, prepare_ranking_data
from hft.errors import DataError

Write = Callable[[str, Any], Path]

LINES = [
    {
        "query": "tent",
        "results": ["a", "b", "c"],
        "events": [
            {"item_id": "a", "type": "click", "dwell": 3},
            {"item_id": "a", "type": "cart", "dwell": 40.5},
            {"item_id": "b", "type": "click", "dwell": 2.5},
            {"item_id": "b", "type": "click"},
            {"item_id": "c", "type": "impression", "dwell": 9},
        ],
        "user_id": "u1",
        "sort_by": "price",
        "user_agent": "Mozilla/5.0",
    },
    {"query": "stove", "results": ["b", "a"], "events": ["a"], "user_id": 7},
    {"query": "lamp", "results": ["b", "a"], "events": [{"item_id": "a"}], "sort_by": None},
]


@pytest.fixture
def items_file(write: Write) -> Path:
    return write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in "abc"])


def read(sessions: Path, items: Path, **options: Any) -> FineTuningInputs:
    return SessionFiles(sessions, items, **options).read(Quarantine(None, 0.0)).inputs


@pytest.mark.parametrize("first", [0, 1, 2])
def test_the_fields_reach_the_session_by_the_careful_and_by_the_short_way(
    first: int, write: Write, items_file: Path
) -> None:
    # The first line of a file takes the careful way.
    order = [*LINES[first:], *LINES[:first]]
    found = {session.query: session for session in read(write("sessions.jsonl", order), items_file)}
    tent, stove, lamp = (found[query] for query in ("tent", "stove", "lamp"))
    assert (tent.user_id, tent.sort_by, stove.user_id, lamp.sort_by) == ("u1", "price", "7", None)
    assert tent.events == (3.0, 1.0, 0.0)
    # The longest stay of the events that count; of b's second click nothing is known.
    assert tent.dwell == (40.5, None, None)
    assert (stove.dwell, lamp.dwell) == (None, None)
    assert tent.weight == 1.0


def test_the_fields_are_read_from_parquet_and_under_names_of_ones_own(
    write: Write, items_file: Path, tmp_path: Path
) -> None:
    table = pa.Table.from_pylist(LINES[:1])
    path = tmp_path / "sessions.parquet"
    pq.write_table(table.rename_columns({"user_id": "visitor", "sort_by": "order", "user_agent": "agent"}), path)
    names = {"user_id": "visitor", "sort_by": "order", "user_agent": "agent"}
    inputs = read(path, items_file, fields=names)
    assert inputs.table.column("user_agent").to_pylist() == ["Mozilla/5.0"]
    assert inputs[0].dwell == (40.5, None, None)
    with pytest.raises(DataError, match=r"'nobody'.*data.source.fields.user_id"):
        read(write("sessions.jsonl", LINES), items_file, fields={"user_id": "nobody"})


def test_a_table_of_text_cells_has_them_too(write: Write, items_file: Path) -> None:
    lines = ["query,results,events,user_id,sort_by", "tent,a|b,a,u1,price", "stove,b|a,b,,"]
    inputs = read(write("sessions.csv", lines), items_file)
    assert inputs.table.column("user_id").to_pylist() == ["u1", None]
    assert inputs.table.column("sort_by").to_pylist() == ["price", None]


def test_a_dwell_that_is_no_stay_sets_the_line_aside(write: Write, items_file: Path) -> None:
    bad = [{**LINES[1], "events": [{"item_id": "a", "dwell": stay}]} for stay in ("long", [1], {})]
    quarantine = Quarantine(None, 1.0)
    inputs = SessionFiles(write("sessions.jsonl", [*LINES, *bad]), items_file).read(quarantine).inputs
    assert len(inputs) == 3
    assert quarantine.count == 3


@pytest.mark.parametrize("first", [0, 1])
def test_a_stay_below_0_is_none_and_what_is_no_text_still_tells_users_apart(
    first: int, write: Write, items_file: Path
) -> None:
    odd = {
        **LINES[1], "user_id": {"b": 1, "a": 2}, "sort_by": ["price", "asc"], "user_agent": " ",
        "events": [{"item_id": "a", "dwell": -1}],
    }  # fmt: skip
    sessions = [odd, LINES[0], LINES[2]] if first == 0 else [LINES[0], odd, LINES[2]]
    inputs = read(write("sessions.jsonl", sessions), items_file)
    assert inputs.table.column("user_id").to_pylist()[first] == '{"a": 2, "b": 1}'
    assert inputs.table.column("sort_by").to_pylist()[first] == '["price", "asc"]'
    assert inputs.table.column("user_agent").to_pylist()[first] is None
    assert inputs[first].dwell is None
    assert inputs[first].events == (0.0, 1.0)


def test_columns_that_no_session_uses_leave_the_fingerprint_as_it_was(
    make_inputs: Callable[..., FineTuningInputs], source_of: Any
) -> None:
    sessions = [(f"query {n}", "abc", [1, 0, 0]) for n in range(40)]

    def fingerprint(**columns: Any) -> str:
        source = source_of(make_inputs(sessions, **columns))
        return prepare_ranking_data(source, QuerySplitter(0.2, 0.3), candidates="shown").fingerprint()

    # As it was recorded before there were such columns.
    assert fingerprint() == "515f22308b210184a39ebd1c2d7f61dcb51a6850f6dc0ee54e77e6196eecbb43"
    others = {
        fingerprint(user_id=["u"] * 40),
        fingerprint(sort_by=["price"] * 40),
        fingerprint(user_agent=["bot"] * 40),
        fingerprint(weight=[0.5] * 40),
    }
    assert len(others | {fingerprint()}) == 5
