"""Several sources as one: each result is looked up in the source that holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat
from pydantic_core import to_json

from hft.data.identity import SourceIdentity
from hft.data.inputs import FineTuningInputs
from hft.data.items import ItemsSet
from hft.data.records import CellFormat, NamedPlace, Record, Records
from hft.data.row_records import as_line
from hft.data.session_files import SessionRecords
from hft.data.source import SourceData
from hft.data.sources.loadable import LoadableResults
from hft.data.sources.result_router import ResultRouter
from hft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hft.data.item_lines import ItemRecord
    from hft.data.quarantine import Quarantine


class AggregatedSource(SessionRecords):
    """Sessions and items of several sources, whose kinds and fields may differ.

    Each source reads its sessions as it does alone: its fields, query_retriever and event_weights. An item
    has the id `SOURCE:ID`, so that two sources may use one id for two items. A result of a session is an id
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
        event_weights: weight of each type of event, for sources that give none of their own; a type that it leaves out
            weighs what it does there.
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
        super().__init__(None, event_weights, CellFormat())
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
        for name, source in self.sources.items():
            self.dropped.update(source.dropped)
            self._notes += [f"{name}: {note}" for note in source.told_notes()]
        holders = {name: source for name, source in self.sources.items() if source.has_items}
        return SourceData(
            items,
            inputs,
            dropped=dict(self.dropped),
            notes=tuple(self._notes),
            item_fields={name: source.item_fields for name, source in holders.items()},
            warnings=tuple(f"{name}: {line}" for name, source in holders.items() for line in source.warnings),
        )

    def item_parts(self, quarantine: Quarantine) -> list[Records]:
        return [part for source in self.sources.values() if source.has_items for part in source.item_parts(quarantine)]

    def item_records(self, quarantine: Quarantine) -> Iterator[ItemRecord]:
        for name, source in self.sources.items():
            if source.has_items:
                for record in source.item_records(quarantine):
                    yield record._replace(item_id=f"{name}{self.separator}{record.item_id}", source=name)

    def session_parts(self, quarantine: Quarantine) -> list[Records]:
        there = [(name, source) for name, source in self.sources.items() if source.has_sessions]
        return [part for name, source in there for part in self._parts_of(name, source, quarantine)]

    def _read_sessions(self, items: ItemsSet, quarantine: Quarantine) -> FineTuningInputs:
        """The sessions of all sources, each read as it reads its own.

        Raises:
            DataError: a source of sessions cannot be read, or none is left.
        """
        self.loaded_items = items
        found = []
        for name, source in self.sources.items():
            if not source.has_sessions:
                continue
            weights = source.event_weights
            if source.given_event_weights is None:
                weights = {**weights, **(self.given_event_weights or {})}
            try:
                lines = source.read_parts(self._parts_of(name, source, quarantine), items, quarantine, weights)
                found.append(lines.finish_some())
            except DataError as error:
                raise DataError(f"data.source.sources.{name}: {error}") from error
            self.dropped.update(lines.dropped)
        inputs = FineTuningInputs(pa.concat_tables([each.table for each in found]), items)
        if not len(inputs):
            reasons = "; ".join(f"{count} x {reason}" for reason, count in quarantine.reasons.most_common(3))
            raise DataError(f"data.source.sources: no session of any source is left: {reasons or 'all are empty'}.")
        return inputs

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

    def _parts_of(self, name: str, source: SessionRecords, quarantine: Quarantine) -> list[Records]:
        """The sessions of a source, their results routed and what cannot be loaded left out."""
        return [self._routed_part(name, source, part, quarantine) for part in source.session_parts(quarantine)]

    def _routed_part(self, name: str, source: SessionRecords, part: Records, quarantine: Quarantine) -> Records:
        place = NamedPlace(f"{name}/{part.place.name}", str(part.place))
        holders = [other for other, each in self.sources.items() if each.has_items]
        router = ResultRouter(name, source.names, holders, self.default_source, self.source_field, self.separator)

        def records() -> Iterator[Record]:
            assert self.loaded_items is not None
            loadable = LoadableResults(self.loaded_items, source.names, quarantine)
            for record in part.read():
                routed = router.routed(record, part.place.name)
                if routed is None:  # it is told what is wrong with it as ever
                    yield record
                    continue
                kept = routed.left_of(loadable.of(routed.with_events, place, record.number, record.raw))
                if kept is None:
                    quarantine.saw(str(place))
                elif record.fields is None:
                    yield Record(record.number, to_json(kept), None)
                else:
                    yield Record(record.number, as_line(kept), kept)
            self.dropped.update(loadable.counts())

        return Records(place, records)
