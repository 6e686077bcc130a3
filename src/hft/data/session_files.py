"""A user's own click logs: records of sessions and records of items, in files or elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeFloat

from hft.data.events import EVENT_WEIGHTS
from hft.data.field_names import field_names
from hft.data.identity import SourceIdentity, told
from hft.data.item_lines import ItemLines, ItemRecord, item_records
from hft.data.item_text import ItemText
from hft.data.items import ItemsSet
from hft.data.missing_fields import MissingFieldsError
from hft.data.quarantine import Quarantine
from hft.data.query_retriever import QueryRetriever
from hft.data.records import CellFormat
from hft.data.session_lines import SessionLines
from hft.data.source import SourceData
from hft.data.sources.record_files import FilesOfRecords
from hft.data.text_normalizer import FieldsNormalizer
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.inputs import FineTuningInputs
    from hft.data.records import Place, Records

_LINES_LOOKED_AT = 1000


class SessionRecords(ABC):
    """A source whose sessions and items are records of places: what they are made of, and how they become both.

    Args:
        fields, event_weights: as SessionFiles has them.
        cells: how lists stand in texts.
        query_retriever, normalizer, item_text: as SessionFiles has them.
    """

    # One may lack either within hft.data.AggregatedSource.
    has_sessions = True
    has_items = True

    def __init__(
        self,
        fields: Mapping[str, str | list[str] | None] | None,
        event_weights: Mapping[str, float] | None,
        cells: CellFormat,
        query_retriever: QueryRetriever | None = None,
        normalizer: FieldsNormalizer | None = None,
        item_text: ItemText | None = None,
    ) -> None:
        self.names = field_names(fields)
        self.given_event_weights = event_weights
        self.event_weights = dict(EVENT_WEIGHTS if event_weights is None else event_weights)
        self.cells = cells
        # Besides sessions and items: what was left out while they were read.
        self.dropped: Counter[str] = Counter()
        # Known once they are read, which is before the sessions.
        self.loaded_items: ItemsSet | None = None
        # Known once they are read: the fields that made the items' texts, and what a model cannot see in these.
        self.item_fields: list[str] = []
        self.warnings: tuple[str, ...] = ()
        self.query_retriever = query_retriever
        self.normalizer = normalizer
        self.item_text = item_text
        self._notes_of_sessions: list[str] = []

    @abstractmethod
    def session_parts(self, quarantine: Quarantine) -> list[Records]:
        """The records of sessions, place by place; at least one.

        Raises:
            DataError: they cannot be had.
        """

    @abstractmethod
    def item_parts(self, quarantine: Quarantine) -> list[Records]:
        """The records of items, place by place; at least one.

        Raises:
            DataError: they cannot be had.
        """

    def told_notes(self) -> list[str]:
        """Lines for people, once all is read."""
        return list(self._notes_of_sessions)

    def reading_options(self) -> dict[str, Any]:
        """Plain values: how records are read."""
        return {
            "fields": self.names.model_dump(),
            "renamed": sorted(self.names.renamed()),
            "event_weights": self.event_weights,
            "cells": asdict(self.cells),
            "parts": [told(part) for part in (self.query_retriever, self.normalizer, self.item_text)],
        }

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read the items, then the sessions.

        Raises:
            DataError: a file is missing, empty or damaged, a needed field is in no line, or too many lines
                are malformed.
        """
        for kind, is_there in (("sessions", self.has_sessions), ("items", self.has_items)):
            if not is_there:
                raise DataError(
                    f"data.source.{kind}: found null, which only a part of hft.data.AggregatedSource may have."
                )
        self.dropped.clear()
        try:
            items, merged = self.read_items(quarantine)
        except MissingFieldsError as error:
            quarantine.close()
            raise MissingFieldsError(" ".join([str(error), *self._missing_of_sessions()])) from error
        inputs = self._read_sessions(items, quarantine)
        dropped = {"identical lines of items": merged, **self.dropped}
        return SourceData(
            items,
            inputs,
            dropped=dropped,
            notes=tuple(self.told_notes()),
            item_fields={"": self.item_fields},
            warnings=self.warnings,
        )

    def read_items(self, quarantine: Quarantine) -> tuple[ItemsSet, int]:
        """(the items, how many identical lines were merged).

        Raises:
            DataError: they cannot be had, or none is usable.
        """
        parts = self.item_parts(quarantine)
        lines = ItemLines(
            parts[0].place,
            self.names.item_id,
            self.names.title,
            self.names.text_fields,
            quarantine,
            fields_key="data.source.fields.text",
            id_key="data.source.fields.item_id",
            item_text=self.item_text,
            normalizer=self.normalizer,
        )
        for place, records in parts:
            lines.begin(place)
            for record in records():
                lines.add(record)
        found = lines.finish()
        self.item_fields, self.warnings = lines.fields, lines.warnings()
        return found

    def item_records(self, quarantine: Quarantine) -> Iterator[ItemRecord]:
        """The records of items as they stand in their places, those left out that have no id.

        Raises:
            DataError: they cannot be had.
        """
        for _, records in self.item_parts(quarantine):
            yield from item_records(records(), self.names.item_id, self.normalizer)

    def _read_sessions(self, items: ItemsSet, quarantine: Quarantine) -> FineTuningInputs:
        self.loaded_items = items
        lines = self.read_parts(self.session_parts(quarantine), items, quarantine)
        inputs = lines.finish()
        self.dropped.update(lines.dropped)
        return inputs

    def read_parts(
        self,
        parts: Sequence[Records],
        items: ItemsSet,
        quarantine: Quarantine,
        event_weights: Mapping[str, float] | None = None,
    ) -> SessionLines:
        """The sessions of records in this source's form, to be finished.

        Args:
            parts: of its sessions; at least one.
            items: those that sessions may show.
            quarantine: where lines go that cannot be used.
            event_weights: weight of each type of event; None: the source's own.

        Raises:
            DataError: they cannot be had, a needed field is in no line, or too many lines are malformed.
        """
        lines = self._session_lines(parts[0].place, items, quarantine, event_weights)
        try:
            for place, records in parts:
                lines.begin(place)
                for record in records():
                    lines.add(record)
        finally:
            lines.finish_block()
        self._notes_of_sessions = lines.notes()
        return lines

    def _missing_of_sessions(self) -> list[str]:
        """What the first sessions lack, for one message about both files."""
        quarantine = Quarantine()
        try:
            place, records = self.session_parts(quarantine)[0]
            lines = self._session_lines(place, ItemsSet.from_columns([], [], []), quarantine)
            for record in islice(records(), _LINES_LOOKED_AT):
                lines.add(record)
            lines.require_fields()
        except MissingFieldsError as error:
            return [str(error)]
        except DataError:
            pass  # Told in full once the items are right.
        return []

    def _session_lines(
        self,
        place: Place,
        items: ItemsSet,
        quarantine: Quarantine,
        event_weights: Mapping[str, float] | None = None,
    ) -> SessionLines:
        by_type = self.event_weights if event_weights is None else event_weights
        separator = self.cells.separator
        return SessionLines(place, self.names, items, by_type, quarantine, separator, self.query_retriever)

    @property
    def list_fields(self) -> tuple[str, ...]:
        """Fields of sessions whose texts in tables are lists."""
        return (self.names.results, self.names.events_field, self.names.ranks)


class SessionFiles(SessionRecords):
    """Sessions and items from JSONL, CSV or Parquet files, told by their suffix; text formats also with .gz.

    A line of sessions has a query, the ids of the results shown, and the events on them: a list of picked
    ids, or objects `{"item_id": ..., "type": ..., "weight": ...}`. A log that has a weight for each result instead
    names their field, `fields.weights`. A line of items has an id and a text. An id is one id however it is written, as
    1234, 1234.0 or "1234" (hft.data.plain_values.as_id). Lines that cannot be used go to the quarantine.

    Args:
        sessions: file of sessions, a folder of such files, or a pattern (`logs/**/*.jsonl.gz`); a path, or an address
            in a store (`s3://bucket/key`, `gs://`, `az://`). Credentials are taken from the environment.
        items: the same of items.
        fields: names of the fields where they differ from those of hft.data.field_names.FieldNames, for
            example `{query: search_term, text: [title, description]}`. The text of an item is made of title and text,
            where both are there, unless `text` names others.
        event_weights: weight of each type of event; None takes click 1, cart 3, purchase 10, impression and
            view 0.
        list_separator: between the entries of a list in a cell of a table; a cell that begins with [ is JSON.
        csv_delimiter: between the cells of a CSV line.
        retries: how often a request to a store is repeated before the run stops; 0: never.
        retry_seconds: before the first repetition; each further pause is twice as long, at most 30.
        query_retriever: takes the query out of a session's record; None: it is the field `fields.query`.
        normalizer: what each item's record goes through first; None: it stays as it is.
        item_text: makes the text of an item's record; None: it is `fields.text`.
    """

    LOCATIONS = ("sessions", "items")

    def __init__(
        self,
        sessions: Annotated[str, Field(min_length=1)] | None,
        items: Annotated[str, Field(min_length=1)] | None,
        fields: dict[str, str | list[str] | None] | None = None,
        event_weights: dict[str, NonNegativeFloat] | None = None,
        list_separator: Annotated[str, Field(min_length=1)] = "|",
        csv_delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
        retries: Annotated[int, Field(ge=0, le=20)] = 5,
        retry_seconds: Annotated[float, Field(ge=0.0, le=30.0)] = 0.5,
        query_retriever: QueryRetriever | None = None,
        normalizer: FieldsNormalizer | None = None,
        item_text: ItemText | None = None,
    ) -> None:
        cells = CellFormat(list_separator, csv_delimiter)
        super().__init__(fields, event_weights, cells, query_retriever, normalizer, item_text)
        self.has_sessions, self.has_items = sessions is not None, items is not None
        self.sessions = "" if sessions is None else str(sessions)
        self.items = "" if items is None else str(items)
        self._session_files = FilesOfRecords(self.sessions, "data.source.sessions", self.cells, retries, retry_seconds)
        self._item_files = FilesOfRecords(self.items, "data.source.items", self.cells, retries, retry_seconds)

    def identity(self) -> SourceIdentity | None:
        """Its files, and how they are read; None where a store does not tell when a file changes.

        Raises:
            DataError: a file is missing.
        """
        given = {"sessions": self._session_files, "items": self._item_files}
        groups = {role: group for role, group in given.items() if group.location}
        found = [group.identity(role) for role, group in groups.items()]
        if any(each is None for each in found):
            return None
        names = [file.name for group in groups.values() for file in group.files]
        return SourceIdentity(
            {role: file for each in found if each is not None for role, file in each.items()},
            {"names": names, **self.reading_options()},
        )

    def session_parts(self, quarantine: Quarantine) -> list[Records]:
        return self._session_files.parts(self.list_fields, quarantine)

    def item_parts(self, quarantine: Quarantine) -> list[Records]:
        return self._item_files.parts((), quarantine)
