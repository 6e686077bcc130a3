"""The documents of User Behavior Insights, made plain: what of them a session needs.

Their schema: https://o19s.github.io/ubi/ (version 1.3), as OpenSearch's plugin writes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from hft.data.item_text import look_up
from hft.data.plain_values import as_id
from hft.moments import epoch_seconds

if TYPE_CHECKING:
    from hft.data.field_names import FieldNames

_MOMENT = TypeAdapter(datetime)
_BULK = frozenset({"index", "create", "update", "delete"})
_OBJECT, _POSITION = "event_attributes.object.object_id", "event_attributes.position.ordinal"
_DWELL = ("event_attributes.dwell_time", "event_attributes.object.dwell_time", "dwell_time")


def document_of(fields: Any) -> Mapping[str, Any] | None:
    """The document of a line: itself, or a hit's `_source`; empty for the first line of a pair of a bulk request; None
    where the line is no object."""
    if not isinstance(fields, Mapping):
        return None
    if isinstance(fields.get("_source"), Mapping):
        source: Mapping[str, Any] = fields["_source"]
        return source
    return {} if len(fields) == 1 and _BULK & fields.keys() else fields


def plain_event(
    document: Mapping[str, Any], action: str, number: int, *, is_impression: bool
) -> tuple[str, dict[str, Any]] | str:
    """(id of the query, what is kept of an event on an object), or what is wrong with it."""
    query_id, item = _id(document.get("query_id")), _id(look_up(document, _OBJECT)[1])
    if query_id is None:
        return "an event without a query_id"
    if item is None:
        return "an event on a result without event_attributes.object.object_id"
    seconds = seconds_of(document.get("timestamp"))
    if seconds is None:
        return "a timestamp that is neither a number nor a date"
    dwell = next((value for name in _DWELL if (value := look_up(document, name)[1]) is not None), None)
    kept = {
        "kind": "impression" if is_impression else "event",
        "item": item,
        "action": action,
        "place": _number(look_up(document, _POSITION)[1]),
        "dwell": _number(dwell),
        "seconds": None if math.isnan(seconds) else seconds,
        "words": _words(document.get("user_query")),
        "client": _id(document.get("client_id")),
        "line": number,
    }
    return query_id, {name: value for name, value in kept.items() if value is not None}


def plain_query(document: Mapping[str, Any], number: int) -> tuple[str, dict[str, Any]] | str:
    """(id of the query, what is kept of it), or what is wrong with it."""
    query_id = _id(document.get("query_id"))
    if query_id is None:
        return "a query without a query_id"
    seconds = seconds_of(document.get("timestamp"))
    if seconds is None:
        return "a timestamp that is neither a number nor a date"
    hits = document.get("query_response_hit_ids")
    hits = hits.split(",") if isinstance(hits, str) else hits
    kept = {
        "kind": "query",
        "words": _words(document.get("user_query")),
        "hits": [hit for hit in map(_id, hits) if hit] if isinstance(hits, Sequence) else [],
        "seconds": None if math.isnan(seconds) else seconds,
        "client": _id(document.get("client_id")),
        "line": number,
    }
    return query_id, {name: value for name, value in kept.items() if value is not None}


@dataclass
class QueryGroup:
    """All that is known of one query.

    Args:
        query_id: its id.
        words: what was asked; empty where no record says it.
        client: who asked.
        seconds: since the epoch, of the query, or of its first event.
        line: of its first record.
        impressions: items shown, in the order of their positions, each once.
        hits: ids that the query gave back, in order.
        events: what was done, in the order of time.
    """

    query_id: str
    words: str = ""
    client: str | None = None
    seconds: float | None = None
    line: int = 0
    impressions: list[str] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, query_id: str, records: Sequence[dict[str, Any]]) -> QueryGroup:
        """Of the records of a query, in any order."""
        queries = [record for record in records if record["kind"] == "query"]
        ordered = [*queries, *(record for record in records if record["kind"] != "query")]
        shown = [record for record in records if record["kind"] == "impression"]
        shown.sort(key=lambda record: (record.get("place", math.inf), record.get("seconds", math.inf)))
        done = [record for record in records if record["kind"] == "event"]
        done.sort(key=lambda record: record.get("seconds", math.inf))
        asked = [record["seconds"] for record in queries if "seconds" in record]
        times = asked or [record["seconds"] for record in records if "seconds" in record]
        return cls(
            query_id,
            next((record["words"] for record in ordered if record.get("words")), ""),
            next((record["client"] for record in ordered if record.get("client")), None),
            min(times, default=None),
            ordered[0]["line"],
            list(dict.fromkeys(record["item"] for record in shown)),
            list(dict.fromkeys(max((record["hits"] for record in queries), key=len, default=[]))),
            done,
        )

    def results(self, shown: Literal["auto", "impressions", "hits"]) -> list[str]:
        """The items shown, in their order."""
        if shown != "auto":
            return self.impressions if shown == "impressions" else self.hits
        clicked = {event["item"] for event in self.events}
        lists = [found for found in (self.impressions, self.hits) if len(found) >= 2]
        return max(lists, key=lambda found: len(clicked & set(found)), default=[])


def session_of(group: QueryGroup, results: Sequence[str], names: FieldNames) -> dict[str, Any]:
    """The session of a query, under the names of its fields."""
    events = [
        {names.event_item_id: event["item"], names.event_type: event["action"]}
        | ({"dwell": event["dwell"]} if event.get("dwell", -1.0) >= 0.0 else {})
        for event in group.events
    ]
    found = {
        names.session_id: group.query_id,
        names.query: group.words,
        names.results: list(results),
        names.events: events,
        names.timestamp: group.seconds,
        names.group: group.client,
        "user_id": group.client,
    }
    return {name: value for name, value in found.items() if value is not None}


def seconds_of(timestamp: Any) -> float | None:
    """Seconds since the epoch of a number (of seconds, milliseconds or less) or a date; NaN for none, None where it is
    neither."""
    if timestamp is None:
        return math.nan
    number = _number(timestamp)
    if number is None and isinstance(timestamp, str):
        try:
            moment = _MOMENT.validate_python(timestamp)
        except ValidationError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if number is None:
        return None
    return epoch_seconds(number)


def _number(value: Any) -> float | None:
    """A finite number, also of a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _id(value: Any) -> str | None:
    try:
        return as_id(value) or None
    except ValueError:
        return None


def _words(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
