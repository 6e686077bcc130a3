"""Event objects whose fields have other names: no event silently becomes a click."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hft.data import AggregatedSource, Quarantine, SessionFiles, SourceData
from hft.errors import DataError

Write = Callable[[str, Any], Path]


def session(*events: Any) -> dict[str, Any]:
    return {"query": "tent", "results": ["a", "b", "c"], "events": list(events)}


KINDS = [
    session({"item_id": "a", "kind": "cart"}),
    session({"item_id": "b", "kind": "click"}, {"item_id": "c", "kind": "purchase"}),
    session(),
]


@pytest.fixture
def items_file(write: Write) -> Path:
    return write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in "abc"])


@pytest.fixture
def read(write: Write, items_file: Path, tmp_path: Path) -> Callable[..., SourceData]:
    """read(sessions, suffix, **fields): through a file of this format."""

    def read_sessions(sessions: list[Any], suffix: str = "jsonl", **fields: str) -> SourceData:
        path = tmp_path / f"sessions.{suffix}"
        if suffix == "parquet":
            pq.write_table(pa.Table.from_pylist(sessions), path)
        else:
            write(path.name, sessions)
        return SessionFiles(path, items_file, fields=fields).read(Quarantine(None, 0.0))

    return read_sessions


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", ["event_type", "event_weight", "event_dwell"])
def test_a_renamed_field_that_no_event_has_is_an_error(name: str, suffix: str, read: Callable[..., SourceData]) -> None:
    with pytest.raises(DataError) as caught:
        read(KINDS, suffix, **{name: "kidn"})
    for part in ("no event object has", "'kidn'", "did you mean 'kind'", f"data.source.fields.{name}=kind", "item_id"):
        assert part in str(caught.value)


def test_a_renamed_field_that_only_a_late_event_has_is_found(read: Callable[..., SourceData]) -> None:
    late = [*[session({"item_id": "a"})] * 3, session({"item_id": "b", "kind": "cart"})]
    data = read(late, event_type="kind")
    assert [max(each.events) for each in data.inputs] == [1, 1, 1, 3]
    assert data.notes == ()
    nested = [session({"item_id": "a"}), session({"item_id": "b", "meta": {"kind": "cart"}})]
    assert read(nested, event_type="meta.kind").inputs[1].events == (0.0, 3.0, 0.0)


def test_sessions_without_event_objects_lack_no_field_of_them(read: Callable[..., SourceData]) -> None:
    assert len(read([session("a"), session()], event_type="kind").inputs) == 2


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_events_without_a_type_but_with_other_texts_are_noted(suffix: str, read: Callable[..., SourceData]) -> None:
    (note,) = read(KINDS, suffix).notes
    assert note.startswith("3 event objects have no 'type'")
    assert "item_id, kind" in note
    assert "data.source.fields.event_type=NAME" in note


@pytest.mark.parametrize(
    "event", [{}, {"type": "click", "kind": "x"}, {"weight": 2, "kind": "x"}, {"dwell": 3.5}, {"place": 1}]
)
def test_events_that_say_what_they_are_or_have_no_other_text_are_not_noted(
    event: dict[str, Any], read: Callable[..., SourceData]
) -> None:
    assert read([session({"item_id": "a", **event})] * 3).notes == ()


def test_events_whose_id_has_another_name_say_which_to_set(read: Callable[..., SourceData]) -> None:
    with pytest.raises(DataError) as caught:
        read([session({"sku": "a", "kind": "click", "dwell": 3})] * 3)
    expected = "event objects have no 'item_id' (they have sku, kind, dwell): set data.source.fields.event_item_id=NAME"
    assert expected in str(caught.value)
    assert read([session({"sku": "a"})] * 3, event_item_id="sku").inputs[2].events == (1.0, 0.0, 0.0)


def test_plain_events_of_one_source_of_several_lack_no_field(write: Write, items_file: Path) -> None:
    for events in (["a"], [0, 1, 0]):
        path = write("sessions.jsonl", [session(*events)] * 2)
        source = AggregatedSource({"shop": SessionFiles(path, items_file, fields={"event_type": "kind"})})
        assert len(source.read(Quarantine()).inputs) == 2
