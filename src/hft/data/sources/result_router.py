"""Which source holds a result of a session: said by a prefix or a field, or taken as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hft.data.field_values import look_up
from hft.data.plain_values import as_id

if TYPE_CHECKING:
    from hft.data.field_names import FieldNames
    from hft.data.records import Record


@dataclass(frozen=True)
class RoutedSession:
    """A session whose results are ids with their sources.

    Args:
        fields: of its record, under the names of its source.
        names: of the source's fields.
        events: objects with routed ids; None where there are none, or weights instead, or they cannot be read, so that
            they are told of as ever.
    """

    fields: dict[str, Any]
    names: FieldNames
    events: list[dict[str, Any]] | None

    @property
    def with_events(self) -> dict[str, Any]:
        """The fields with a list of events."""
        return self.fields if self.names.weights else {**self.fields, self.names.events: self.events or []}

    def left_of(self, kept: dict[str, Any] | None) -> dict[str, Any] | None:
        """What was kept of with_events, as a record; where there was no list of events, there is none."""
        if kept is None or self.events is not None or self.names.weights:
            return kept
        events = self.names.events
        given = {events: self.fields[events]} if events in self.fields else {}
        return {**{name: value for name, value in kept.items() if name != events}, **given}


class ResultRouter:
    """Gives each result and event of a source's sessions the name of the source that holds its item.

    Args:
        source: name of the sessions' source.
        names: its names of fields.
        holders: names of the sources that have items.
        default_source: of results that say none; None: the sessions' own, or the only one with items.
        source_field: field of a result and of an event that says its source.
        separator: between source and id.
    """

    def __init__(
        self,
        source: str,
        names: FieldNames,
        holders: Sequence[str],
        default_source: str | None,
        source_field: str,
        separator: str,
    ) -> None:
        self._source = source
        self._names = names
        self._field = source_field
        self._separator = separator
        self._prefixes = tuple(name + separator for name in holders)
        own = source if source in holders else holders[0] if len(holders) == 1 else None
        self._default = default_source or own

    def routed(self, record: Record, place: str) -> RoutedSession | None:
        """The session of a record; None where its results cannot be read.

        Args:
            record: in the source's own form.
            place: name of where it stands, of which ids are made where records have none.
        """
        fields = record.parsed()
        if isinstance(fields, str):
            return None
        names = self._names
        shown = look_up(fields, names.results)[1]
        if not isinstance(shown, list):
            return None
        plain = [self._plain(result) for result in shown]
        results = [self._routed(result) for result in shown]
        known = [result for result in results if result is not None]
        if len(known) != len(results) or not known:
            return None
        found = {**fields, names.results: known}
        own = look_up(fields, names.session_id)[1]
        own = f"{place}:{record.number}" if own is None or _id(own) == "" else own
        if _id(own) is not None:
            found[names.session_id] = f"{self._source}{self._separator}{_id(own)}"
        for name in (names.ranks, names.weights):
            is_there, values = look_up(fields, name) if name else (False, None)
            if is_there:
                found[str(name)] = values
        has_events, events = (False, None) if names.weights else look_up(fields, names.events)
        if not has_events:
            return RoutedSession(found, names, None)
        return RoutedSession(found, names, self._events([] if events is None else events, plain, known))

    def _events(self, events: Any, plain: list[str | None], results: list[str]) -> list[dict[str, Any]] | None:
        """Events as objects with routed ids; None where they cannot be read."""
        if not isinstance(events, list):
            return None
        if any(isinstance(event, Mapping) for event in events):
            return self._of_objects(events, plain, results)
        picked = [_id(event) for event in events]
        names = self._names
        # These are no objects of the log, so that they lack no field.
        blank = dict.fromkeys((names.event_type, names.event_weight, names.event_dwell))
        # A picked id without a source is that of the result with this id.
        routed = [
            results[plain.index(each)] if each in plain else self._with_source(each, None)
            for each in picked
            if each is not None
        ]
        objects = [{**blank, names.event_item_id: each} for each in routed]
        return objects if len(objects) == len(picked) else None

    def _of_objects(
        self, events: list[Any], plain: list[str | None], results: list[str]
    ) -> list[dict[str, Any]] | None:
        found = []
        for event in events:
            item = self._plain(event) if isinstance(event, Mapping) else None
            if item is None:
                return None
            is_told = self._field in event or item not in plain
            routed = self._with_source(item, event.get(self._field)) if is_told else results[plain.index(item)]
            found.append({**event, self._names.event_item_id: routed})
        return found

    def _plain(self, result: Any) -> str | None:
        if isinstance(result, Mapping):
            result = look_up(result, self._names.event_item_id)[1]
        return _id(result)

    def _routed(self, result: Any) -> str | None:
        item = self._plain(result)
        if item is None:
            return None
        return self._with_source(item, result.get(self._field) if isinstance(result, Mapping) else None)

    def _with_source(self, item: str, said: Any) -> str:
        if said is None and item.startswith(self._prefixes):
            return item
        source = said if said is not None else self._default
        return item if source is None else f"{source}{self._separator}{item}"


def _id(value: Any) -> str | None:
    try:
        return as_id(value)
    except ValueError:
        return None
