"""The short way for a line of sessions that is plainly good. It keeps nothing that the careful way would see otherwise.

Most lines of a log are of the plainest kind: an object with a query, ids that are all known and distinct, events on
results that were shown. Those are told by a look at each value's exact type, and cost a fifth of a validated record.
Every line in doubt (another type, blanks around the query, an unknown id, a number where a text may stand) is given
back, and goes through hft.data.field_names.SessionRecord: with the same outcome, or with what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import from_json

from hft.data.events import EventsAs
from hft.data.field_names import FieldNames

_INFINITY = float("inf")
_TEXTS = ("session_id", "batch_id", "group", "split")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_MOMENT = TypeAdapter(datetime)


class PlainSession(NamedTuple):
    """A session as its line says it.

    Args:
        session_id: None where the line has none.
        query: the query's text.
        rows: rows of the items shown.
        weights: of the events on each result.
        ranks: of each result, or None.
        seconds: since the epoch, or None.
        is_irrelevant: flagged as such.
        batch_id, group, split: or None.
    """

    session_id: str | None
    query: str
    rows: list[int]
    weights: list[float]
    ranks: list[float] | None
    seconds: float | None
    is_irrelevant: bool
    batch_id: str | None
    group: str | None
    split: str | None


class PlainSessions:
    """Reads lines of the plainest kind.

    Args:
        names: the user's names of the fields.
        row_of: from an item's id to its row.
        weights_by_type: weight of an event by its type.
        events_as: what plain entries of the events are.

    Attributes:
        fields: names of fields that were in lines read, those that hft does not know too.
    """

    def __init__(
        self, names: FieldNames, row_of: Mapping[str, int], weights_by_type: Mapping[str, float], events_as: EventsAs
    ) -> None:
        self._names = names
        self._row_of = row_of
        self._by_type = weights_by_type
        self._events_as = events_as
        given = [getattr(names, name) for name in (*_TEXTS, "query", "results", "events", "ranks", "timestamp")]
        given += [names.is_irrelevant, names.event_item_id, names.event_type, names.event_weight]
        # A dot may lead into an object, which only the careful way follows.
        self._can_read = not any("." in name for name in given)
        self.fields: set[str] = set()

    def read(self, line: bytes) -> PlainSession | None:
        """The session of a line; None where the line is for the careful way."""
        if not self._can_read:
            return None
        try:
            fields = from_json(line, allow_inf_nan=False)
            return self._session(fields)
        except (ValueError, KeyError, TypeError, OverflowError):
            return None

    def _session(self, fields: Any) -> PlainSession | None:
        """The session of an object.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: it is not of the plainest kind.
        """
        names = self._names
        query, results = fields[names.query], fields[names.results]
        if type(fields) is not dict or type(query) is not str or not query or query != query.strip():
            return None
        results, rows = self._rows(results)
        if rows is None:
            return None
        flag = fields.get(names.is_irrelevant)
        events = fields[names.events]
        if (flag is not None and flag is not False and (flag is not True or events)) or (
            events is not None and type(events) is not list
        ):
            return None
        weights = self._weights(events, results, rows) if events else [0.0] * len(rows)
        ranks = fields.get(names.ranks)
        if weights is None or (ranks is not None and not _are_numbers(ranks, len(rows), -_INFINITY)):
            return None
        texts = [fields.get(getattr(names, name)) for name in _TEXTS]
        for place, text in enumerate(texts):
            if text is not None and type(text) is not str:
                if type(text) is not int:
                    return None
                texts[place] = str(text)
        seconds = _seconds(fields.get(names.timestamp))
        if not fields.keys() <= self.fields:
            self.fields.update(fields)
        session_id, batch_id, group, split = texts
        return PlainSession(session_id, query, rows, weights, ranks, seconds, flag is True, batch_id, group, split)

    def _rows(self, results: Any) -> tuple[list[str], list[int] | None]:
        """(ids as texts, their rows); no rows where there are fewer than two, an unknown one, or one stands twice."""
        if type(results) is not list or len(results) < 2:
            return [], None
        if type(results[0]) is int:
            if set(map(type, results)) != {int}:
                return [], None
            results = list(map(str, results))
        rows = list(map(self._row_of.__getitem__, results))
        return results, rows if len(set(rows)) == len(rows) else None

    def _weights(self, events: list[Any], results: list[str], rows: list[int]) -> list[float] | None:
        """A weight a result from events of one kind; None where it takes a closer look."""
        first = type(events[0])
        if first is dict:
            return self._from_objects(events, results)
        if len(events) == len(results) and self._events_as != "picked":
            # Texts may be ids of all results, or weights.
            return list(map(float, events)) if _are_numbers(events, len(results), 0.0) else None
        if self._events_as == "weights" or first not in (str, int) or set(map(type, events)) != {first}:
            return None
        weights = [0.0] * len(rows)
        for event in events:
            weights[results.index(event if first is str else str(event))] = 1.0
        return weights

    def _from_objects(self, events: list[Any], results: list[str]) -> list[float] | None:
        names = self._names
        weights = [0.0] * len(results)
        for event in events:
            if type(event) is not dict:
                return None
            item, kind, weight = event[names.event_item_id], event.get(names.event_type), event.get(names.event_weight)
            if type(item) is not str or not (kind is None or type(kind) is str):
                return None
            if weight is None:
                weight = 1.0 if kind is None else self._by_type[kind]
            elif not _are_numbers([weight], 1, 0.0):
                return None
            place = results.index(item)
            weights[place] = max(weights[place], float(weight))
        return weights


def _are_numbers(values: Any, count: int, lowest: float) -> bool:
    """Whether this is a list of so many finite numbers, none below the lowest."""
    return (
        type(values) is list
        and len(values) == count
        and set(map(type, values)) <= {int, float}
        and min(values) >= lowest
        and min(values) > -_INFINITY
        and max(values) < _INFINITY
    )


def _seconds(timestamp: Any) -> float | None:
    """Seconds since the epoch of a number or a full ISO 8601 time; one without a zone is taken as UTC.

    Raises:
        ValueError, OverflowError: it is anything else.
    """
    if timestamp is None:
        return None
    if type(timestamp) is float or type(timestamp) is int:
        seconds = float(timestamp)
        if not -_INFINITY < seconds < _INFINITY:
            raise ValueError("not finite")
        return seconds
    if type(timestamp) is str and _ISO.fullmatch(timestamp):
        moment = _MOMENT.validate_python(timestamp)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise ValueError("not plain")
