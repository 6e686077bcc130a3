"""Several sources as one: each result is looked up in the source that holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat
from pydantic_core import from_json, to_json

from hft.data.field_names import FieldNames
from hft.data.identity import SourceIdentity
from hft.data.item_text import look_up
from hft.data.items import ItemsSet
from hft.data.records import CellFormat, NamedPlace, Record, Records
from hft.data.session_files import SessionRecords
from hft.data.source import SourceData
from hft.data.sources.loadable import LoadableResults
from hft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine

_STANDARD = FieldNames()
_OF_EVENTS = tuple(name for name in FieldNames.model_fields if name.startswith("event_"))
_OF_SESSIONS = tuple(name for name in FieldNames.model_fields if name not in ("item_id", "title", "text", *_OF_EVENTS))


class AggregatedSource(SessionRecords):
    """Sessions and items of several sources, whose kinds and fields may differ.

    An item has the id `SOURCE:ID`, so that two sources may use one id for two items. A result of a session is an id
    with its source before it (`shop:123`), or an object that says its source in a field
    (`{"item_id": "123", "source": "shop"}`), and so are its events; one that says none belongs to the `default_source`,
    else to the source of the session. A result whose item cannot be loaded leaves its session, is listed and counted;
    so is a session that has fewer than two results left.

    Args:
        sources: by name, sources of hft's own kinds (SessionFiles, SqlSessions, HuggingFaceSessions, UbiSessions); one
            with `sessions: null` gives items only, one with `items: null` sessions only.
        default_source: of results that say none.
        source_field: field of a result and of an event that says its source.
        separator: between source and id.
        event_weights: weight of each type of event; None takes click 1, cart 3, purchase 10, impression and view 0.
        when_a_source_fails: `stop`; or `drop` the items of a source that cannot be read, as those of any item that
            cannot be loaded. A source of sessions that cannot be read always stops the run.
    """

    def __init__(
        self,
        sources: dict[str, Any],
        default_source: str | None = None,
        source_field: Annotated[str, Field(min_length=1)] = "source",
        separator: Annotated[str, Field(min_length=1)] = ":",
        event_weights: dict[str, NonNegativeFloat] | None = None,
        when_a_source_fails: Literal["stop", "drop"] = "stop",
    ) -> None:
        super().__init__(None, event_weights, "auto", CellFormat())
        self.sources: dict[str, Any] = dict(sources)
        self.default_source = default_source
        self.source_field = source_field
        self.separator = separator
        self.when_a_source_fails = when_a_source_fails
        self._notes: list[str] = []
        self._check()

    def _check(self) -> None:
        strange = [name for name, source in self.sources.items() if not isinstance(source, SessionRecords)]
        if strange:
            kind = type(self.sources[strange[0]]).__name__
            raise ConfigError(
                f"data.source.sources.{strange[0]}: found {kind}. Expected hft.data.SessionFiles, SqlSessions, "
                "HuggingFaceSessions or UbiSessions."
            )
        if not any(source.has_sessions for source in self.sources.values()) or not any(
            source.has_items for source in self.sources.values()
        ):
            raise ConfigError("data.source.sources: at least one source with sessions and one with items is expected.")
        if self.default_source is not None and self.default_source not in self.sources:
            raise ConfigError(
                f"data.source.default_source: found {self.default_source!r}. Expected: {', '.join(self.sources)}."
            )

    def identity(self) -> SourceIdentity | None:
        """The files of all its sources; None where one has none, or is not hft's own.

        Raises:
            DataError: a file is missing.
        """
        found = {name: source.identity() for name, source in self.sources.items() if hasattr(source, "identity")}
        ours = all(type(source).__module__.startswith("hft.data.") for source in self.sources.values())
        if not ours or len(found) < len(self.sources) or any(each is None for each in found.values()):
            return None
        kinds = {name: [type(source).__qualname__, found[name].options] for name, source in self.sources.items()}
        own = [self.default_source, self.source_field, self.separator, self.when_a_source_fails]
        files = {f"{name}/{role}": file for name, each in found.items() for role, file in each.files.items()}
        return SourceIdentity(files, {"sources": kinds, "own": own, **self.reading_options()})

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read the items of all sources, then the sessions of all.

        Raises:
            DataError: a source cannot be read, or nothing usable is there.
        """
        self.dropped, self._notes = Counter(), []
        tables = []
        for name, source in self.sources.items():
            if source.has_items:
                tables += self._items_of(name, source, quarantine)
        if not tables:
            raise DataError("data.source.sources: no item of any source can be loaded.")
        items = ItemsSet(pa.concat_tables(tables))
        inputs = self._read_sessions(items, quarantine)
        for source in self.sources.values():
            self.dropped.update(source.dropped)
        return SourceData(items, inputs, dropped=dict(self.dropped), notes=tuple(self._notes))

    def item_parts(self, quarantine: Quarantine) -> list[Records]:
        return [part for source in self.sources.values() if source.has_items for part in source.item_parts(quarantine)]

    def session_parts(self, quarantine: Quarantine) -> list[Records]:
        assert self.loaded_items is not None
        parts = []
        for name, source in self.sources.items():
            if source.has_sessions:
                parts += [
                    self._routed_part(name, source, part, quarantine) for part in source.session_parts(quarantine)
                ]
        return parts

    def _items_of(self, name: str, source: SessionRecords, quarantine: Quarantine) -> list[pa.Table]:
        try:
            items, merged = source.read_items(quarantine)
        except DataError as error:
            if self.when_a_source_fails == "stop":
                raise DataError(f"data.source.sources.{name}: {error}") from error
            self._notes.append(f"the items of {name} cannot be loaded: {error}")
            return []
        self.dropped["identical lines of items"] += merged
        ids = pc.binary_join_element_wise(name, items.table.column("item_id"), self.separator)
        return [items.table.set_column(items.table.column_names.index("item_id"), "item_id", ids)]

    def _routed_part(self, name: str, source: SessionRecords, part: Records, quarantine: Quarantine) -> Records:
        """The records of a part with their results routed and what cannot be loaded left out."""
        place = NamedPlace(f"{name}/{part.place.name}", str(part.place))

        def records() -> Iterator[Record]:
            assert self.loaded_items is not None
            loadable = LoadableResults(self.loaded_items, _STANDARD, quarantine)
            router = ResultRouter(name, source.names, self)
            for record in part.read():
                fields = router.standard(record, part.place.name)
                if fields is None:  # it is told what is wrong with it as ever
                    yield record
                    continue
                kept = loadable.of(fields, place, record.number, record.raw)
                if kept is not None:
                    yield Record(record.number, to_json(kept), None)
                else:
                    quarantine.saw(str(place))
            self.dropped.update(loadable.counts())

        return Records(place, records)


class ResultRouter:
    """Gives the sessions of a source hft's own names of fields, and each result the name of its source.

    Args:
        source: name of the sessions' source.
        names: its names of fields.
        aggregated: knows all sources.
    """

    def __init__(self, source: str, names: FieldNames, aggregated: AggregatedSource) -> None:
        self._source = source
        self._names = names
        self._field = aggregated.source_field
        self._separator = aggregated.separator
        holders = [name for name, each in aggregated.sources.items() if each.has_items]
        self._prefixes = tuple(name + self._separator for name in holders)
        own = source if source in holders else holders[0] if len(holders) == 1 else None
        self._default = aggregated.default_source or own

    def standard(self, record: Record, place: str) -> dict[str, Any] | None:
        """The fields of a session: results are ids with their sources, events objects; None where it is none."""
        fields: Any = record.fields
        if fields is None:
            try:
                fields = from_json(record.line or b"", allow_inf_nan=False)
            except ValueError:
                return None
        if not isinstance(fields, Mapping):
            return None
        found = {name: look_up(fields, getattr(self._names, name)) for name in _OF_SESSIONS}
        given = {name: value for name, (there, value) in found.items() if there and value is not None}
        if not isinstance(given.get("results"), list) or not isinstance(given.get("events", []), list):
            return None
        plain = [self._plain(result) for result in given["results"]]
        results = [self._routed(result) for result in given["results"]]
        events = self._events(given.get("events", []), plain, results)
        if None in results or events is None or ("events" not in given and not given.get("is_irrelevant")):
            return None
        own = given.get("session_id")
        named = f"{self._source}{self._separator}{f'{place}:{record.number}' if own is None else own}"
        return {**given, "session_id": named, "results": results, "events": events}

    def _events(self, events: list[Any], plain: list[str | None], results: list[str | None]) -> list[Any] | None:
        """Events as objects with routed ids; None where they cannot be read."""
        numbers = [event for event in events if isinstance(event, int | float) and not isinstance(event, bool)]
        if events and len(numbers) == len(events) == len(results):
            weighted = zip(results, events, strict=True)
            return [{"item_id": result, "weight": weight} for result, weight in weighted if weight]
        found = []
        for event in events:
            if not isinstance(event, Mapping):
                # A picked id without a source is that of the result with this id.
                place = plain.index(str(event)) if str(event) in plain else -1
                found.append({"item_id": results[place] if place >= 0 else self._routed(event)})
                continue
            kept = {getattr(_STANDARD, name): look_up(event, getattr(self._names, name))[1] for name in _OF_EVENTS}
            kept = {name: value for name, value in kept.items() if value is not None}
            item = self._plain(kept.get(_STANDARD.event_item_id))
            if self._field in event or item not in plain:
                routed = self._routed({**event, self._names.event_item_id: kept.get(_STANDARD.event_item_id)})
            else:
                routed = results[plain.index(item)]
            found.append({**kept, _STANDARD.event_item_id: routed})
        return None if any(event["item_id"] is None for event in found) else found

    def _plain(self, result: Any) -> str | None:
        if isinstance(result, Mapping):
            result = look_up(result, self._names.event_item_id)[1]
        return str(result) if isinstance(result, int | str) and not isinstance(result, bool) else None

    def _routed(self, result: Any) -> str | None:
        item = self._plain(result)
        if item is None:
            return None
        said = result.get(self._field) if isinstance(result, Mapping) else None
        if said is None and item.startswith(self._prefixes):
            return item
        source = said if said is not None else self._default
        return item if source is None else f"{source}{self._separator}{item}"
