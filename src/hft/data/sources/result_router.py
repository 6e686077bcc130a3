"""Which source holds a result of a session: said by a prefix or a field, or taken as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from hft.data.events import EventsAs, are_weights, event_weights
from hft.data.field_values import look_up

if TYPE_CHECKING:
    from hft.data.field_names import FieldNames
    from hft.data.records import Record

_PLAIN_EVENTS = TypeAdapter(list[int | FiniteFloat | str])


@dataclass(frozen=True)
class RoutedSession:
    """A session whose results are ids with their sources.

    Args:
        fields: of its record, under the names of its source.
        events_name: the name of its events.
        events: objects with routed ids; None where there are none or they cannot be read, so that they are told of
            as ever.
    """

    fields: dict[str, Any]
    events_name: str
    events: list[dict[str, Any]] | None

    @property
    def with_events(self) -> dict[str, Any]:
        """The fields with a list of events."""
        return {**self.fields, self.events_name: self.events or []}

    def left_of(self, kept: dict[str, Any] | None) -> dict[str, Any] | None:
        """What was kept of with_events, as a record; where there was no list of events, there is none."""
        if kept is None or self.events is not None:
            return kept
        given = {self.events_name: self.fields[self.events_name]} if self.events_name in self.fields else {}
        return {**{name: value for name, value in kept.items() if name != self.events_name}, **given}


class ResultRouter:
    """Gives each result and event of a source's sessions the name of the source that holds its item.

    Args:
        source: name of the sessions' source.
        names: its names of fields.
        events_as: what its plain events are.
        holders: names of the sources that have items.
        default_source: of results that say none; None: the sessions' own, or the only one with items.
        source_field: field of a result and of an event that says its source.
        separator: between source and id.
    """

    def __init__(
        self,
        source: str,
        names: FieldNames,
        events_as: EventsAs,
        holders: Sequence[str],
        default_source: str | None,
        source_field: str,
        separator: str,
    ) -> None:
        self._source = source
        self._names = names
        self._events_as = events_as
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
        if not own and not isinstance(own, int | float):
            own = f"{place}:{record.number}"
        if isinstance(own, str | int | float) and not isinstance(own, bool):
            found[names.session_id] = f"{self._source}{self._separator}{own}"
        has_ranks, ranks = look_up(fields, names.ranks)
        if has_ranks:
            found[names.ranks] = ranks
        has_events, events = look_up(fields, names.events)
        if not has_events:
            return RoutedSession(found, names.events, None)
        return RoutedSession(found, names.events, self._events([] if events is None else events, plain, known))

    def _events(self, events: Any, plain: list[str | None], results: list[str]) -> list[dict[str, Any]] | None:
        """Events as objects with routed ids; None where they cannot be read."""
        if not isinstance(events, list):
            return None
        if any(isinstance(event, Mapping) for event in events):
            return self._of_objects(events, plain, results)
        try:
            entries = _PLAIN_EVENTS.validate_python(events)
        except ValidationError:
            return None
        ids = [str(result) for result in plain]
        item, weight_name = self._names.event_item_id, self._names.event_weight
        # These are no objects of the log, so that they lack no field.
        blank = dict.fromkeys((self._names.event_type, weight_name, self._names.event_dwell))
        if are_weights(entries, ids, self._events_as):
            weights = event_weights(entries, ids, {}, "weights")
            if isinstance(weights, str):
                return None
            weighted = zip(results, weights, strict=True)
            return [{**blank, item: result, weight_name: weight} for result, weight in weighted if weight]
        # A picked id without a source is that of the result with this id.
        picked = map(str, entries)
        return [
            {**blank, item: results[ids.index(each)] if each in ids else self._with_source(each, None)}
            for each in picked
        ]

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
        return str(result) if isinstance(result, int | float | str) and not isinstance(result, bool) else None

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
