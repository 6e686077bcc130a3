"""Logs of User Behavior Insights become sessions; the sample of OpenSearch is read whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hft.data import AggregatedSource, ItemTemplate, Quarantine, SourceData, UbiSessions
from hft.errors import DataError

Write = Callable[[str, Any], Path]


def event(query: str | None, action: str, item: str | None, place: int | None = None, **more: Any) -> dict[str, Any]:
    described = {"object_id": item, "object_id_field": "sku", "description": f"thing {item}"}
    attributes: dict[str, Any] = {"object": {name: value for name, value in described.items() if value is not None}}
    if place is not None:
        attributes["position"] = {"ordinal": place}
    if "dwell" in more:
        attributes["dwell_time"] = more.pop("dwell")
    return {"query_id": query, "action_name": action, "client_id": "c1", "event_attributes": attributes, **more}


def query(query_id: str, words: str | None, hits: list[str] | None = None, **more: Any) -> dict[str, Any]:
    found = {"query_id": query_id, "user_query": words, "client_id": "c1", "query_response_hit_ids": hits, **more}
    return {name: value for name, value in found.items() if value is not None}


def read(
    write: Write, events: list[Any], queries: list[Any], quarantine: Quarantine | None = None, **options: Any
) -> SourceData:
    source = UbiSessions(str(write("events.jsonl.gz", events)), str(write("queries.jsonl", queries)), **options)
    return source.read(quarantine or Quarantine())


def shown(data: SourceData) -> dict[str, dict[str, float]]:
    """The weight of each result by query, in order."""
    return {session.query: dict(zip(session.results, session.events, strict=True)) for session in data.inputs}


def test_positions_order_what_was_shown_whatever_the_order_of_the_log(write: Write) -> None:
    events = [
        event("q1", "click", "b", 1, timestamp="2026-01-01T00:00:09Z"),
        event("q2", "impression", "a", 0, timestamp=1767225700000),
        event("q1", "impression", "c", 2, timestamp="2026-01-01T00:00:03Z"),
        event("q1", "impression", "a", 0, timestamp="2026-01-01T00:00:03Z"),
        event("q1", "impression", "b", 1, timestamp="2026-01-01T00:00:03Z"),
        event("q1", "impression", "a", 7, timestamp="2026-01-01T00:00:08Z"),
        event("q2", "impression", "c", 1, timestamp=1767225700000),
        event("q1", "add_to_cart", "b", 1, timestamp="2026-01-01T00:00:12Z"),
    ]
    data = read(write, events, [query("q2", "second"), query("q1", "first", timestamp="2026-01-01T00:00:01.500+0000")])
    assert shown(data) == {"first": {"a": 0.0, "b": 3.0, "c": 0.0}, "second": {"a": 0.0, "c": 0.0}}
    first, second = data.inputs
    assert (first.session_id, first.timestamp, second.timestamp) == ("q1", 1767225601.5, 1767225700.0)
    assert data.inputs.table.column("group").to_pylist() == ["c1", "c1"]
    assert sorted(data.items.texts) == ["thing a", "thing b", "thing c"]


def test_texts_of_the_catalogue_may_be_made_by_a_template(write: Write) -> None:
    items = write("items.jsonl", [{"item_id": name, "title": name.upper(), "price": 7} for name in "ab"])
    events = [
        event("q1", action, name, place) for action, name, place in (("impression", "a", 0), ("impression", "b", 1))
    ]
    text = ItemTemplate(template="{title}, {price} crowns")
    data = read(write, events, [query("q1", "first")], items=str(items), item_text=text)
    assert list(data.items.texts) == ["A, 7 crowns", "B, 7 crowns"]


def test_dwell_times_go_with_their_events() -> None:
    from hft.data.field_names import FieldNames
    from hft.data.sources.ubi_records import QueryGroup, plain_event, session_of

    _, kept = plain_event(event("q1", "click", "a", 0, dwell=12.5), "click", 1, is_impression=False)  # type: ignore[misc]
    fields = session_of(QueryGroup.of("q1", [kept]), ["a", "b"], FieldNames())  # type: ignore[list-item]
    assert fields["events"] == [{"item_id": "a", "type": "click", "dwell": 12.5}]


def test_what_the_query_gave_back_stands_in_for_impressions(write: Write) -> None:
    events = [event("q1", "click", "c", 2), event("q2", "impression", "a", 0), event("q2", "impression", "b", 1)]
    queries = [query("q1", "first", []), query("q1", "first", ["a", "b", "c"]), query("q2", "second", ["c", "a", "b"])]
    items = str(write("items.jsonl", [{"item_id": name, "text": name} for name in "abc"]))
    found = shown(read(write, events, queries, items=items))
    assert {words: list(results) for words, results in found.items()} == {
        "first": ["a", "b", "c"],
        "second": ["a", "b"],
    }
    hits = shown(read(write, events, queries, items=items, shown="hits"))
    assert list(hits["second"]) == ["c", "a", "b"]


def test_what_cannot_become_a_session_is_counted_and_listed(write: Write, tmp_path: Path) -> None:
    events = [
        *[event("q1", "impression", name, place) for place, name in enumerate("abc")],
        event("q1", "click", "z", 9),
        event("q1", "search", None),
        event("q1", "click", None),
        event(None, "click", "a"),
        event("q1", "click", "a", timestamp="yesterday"),
        event("q2", "impression", "a", 0),
        *[event("q3", "impression", name, place) for place, name in enumerate("ab")],
        *[event("q4", "impression", name, place) for place, name in enumerate(["a", "gone"])],
        "{broken",
        b'{"query_id": "caf\xe9"}',
    ]
    queries = [
        query("q1", "first"),
        query("q2", "second"),
        query("q3", None),
        query("q4", "fourth"),
        query("q5", "fifth"),
    ]
    items = str(write("items.jsonl", [{"item_id": name, "text": name} for name in "abc"]))
    with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
        data = read(write, events, queries, quarantine, items=items)
    assert shown(data) == {"first": {"a": 0.0, "b": 0.0, "c": 0.0}}
    assert {reason: count for reason, count in data.dropped.items() if count} == {
        "events of actions that say nothing of a result": 1,
        "queries with fewer than two results shown": 2,
        "queries without words": 1,
        "items that sessions show and that cannot be loaded": 1,
        "sessions left with fewer than two results": 1,
        "events on results that were not shown": 1,
    }
    entries = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert len([entry for entry in entries if entry["file"].endswith("events.jsonl.gz") and not entry["kept"]]) == 5
    assert ["gone"] in [entry.get("left_out") for entry in entries]
    assert ["z"] in [entry.get("left_out") for entry in entries]


def test_actions_that_were_passed_over_are_told_by_their_names(write: Write) -> None:
    shown_items = [event("q1", "impression", name, place) for place, name in enumerate("ab")]
    others = [event("q1", action, "a") for action in ["product_click"] * 3 + ["scroll"]]
    source = UbiSessions(
        str(write("events.jsonl", [*shown_items, *others])), str(write("queries.jsonl", [query("q1", "first")]))
    )
    (note,) = source.read(Quarantine()).notes
    assert note.startswith("actions passed over: product_click (3), scroll (1); taken: click, ")
    (note,) = AggregatedSource({"log": source}).read(Quarantine()).notes
    assert note.startswith("log: actions passed over: product_click (3), ")
    (note,) = read(write, [*shown_items, *others], [query("q1", "first")], event_weights={"product_click": 1}).notes
    assert note.startswith("actions passed over: scroll (1); taken: product_click (")


def test_hits_and_lines_of_a_bulk_request_are_read_too(write: Write) -> None:
    documents = [event("q1", "impression", name, place) for place, name in enumerate("ab")]
    bulk = [line for document in documents for line in ({"index": {"_index": "ubi_events"}}, document)]
    hits = [{"_index": "ubi_queries", "_id": "1", "_source": query("q1", "first")}]
    assert shown(read(write, bulk, hits)) == {"first": {"a": 0.0, "b": 0.0}}


def test_events_without_descriptions_are_told_to_name_the_items(write: Write) -> None:
    events = [{**event("q1", "impression", "a"), "event_attributes": {"object": {"object_id": "a"}}}]
    with pytest.raises(DataError, match=r"data\.source\.items=FILE"):
        read(write, events, [query("q1", "first")])


def test_the_sample_of_opensearch_is_read(shared_data: Path) -> None:
    folder = shared_data / "ubi_sample"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    source = UbiSessions(
        str(folder / "ubi_events.jsonl.gz"), str(folder / "ubi_queries.jsonl"), applications=["Chorus"]
    )
    quarantine = Quarantine()
    data = source.read(quarantine)
    assert quarantine.count == 0
    # 999 impressions and 454 clicks and carts of this application; 436 objects with a title.
    assert len(data.items) == 436
    assert len(data.inputs) >= 30
    assert data.inputs.has_event.sum() >= 10
    assert set(data.inputs.flat_events.tolist()) == {0.0, 3.0}  # each click of this log was followed by a cart
    assert data.dropped["records of other applications"] == 1000 + 60 + 429 + 200


def test_an_application_that_no_record_has_is_told_with_those_there(write: Write) -> None:
    events = [
        event("q1", "impression", "a", 0, application="Chorus"),
        event("q1", "impression", "b", 1, application="Chorus"),
    ]
    queries = [query("q1", "first", application="Chorus"), query("q2", "second", application="esci_ubi_sample")]
    assert len(read(write, events, queries, applications=["Chorus"]).inputs) == 1
    for given in (["chorus"], ["Chorus", "chorus"]):
        with pytest.raises(DataError, match="no record of application 'chorus'; found: Chorus, esci_ubi_sample"):
            read(write, events, queries, applications=given)
    with pytest.raises(DataError, match="found: none"):
        read(write, [event("q1", "click", "a")], [query("q1", "first")], applications=["Chorus"])
