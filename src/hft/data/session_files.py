"""A user's own click logs: a file of sessions and a file of items."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, FilePath, NonNegativeFloat

from hft.data.events import EVENT_WEIGHTS
from hft.data.field_names import field_names
from hft.data.identity import SourceIdentity, told
from hft.data.item_lines import ItemLines
from hft.data.item_text import ItemText
from hft.data.items import ItemsSet
from hft.data.missing_fields import MissingFieldsError
from hft.data.quarantine import Quarantine
from hft.data.query_retriever import QueryRetriever
from hft.data.records import CellFormat, read_records
from hft.data.session_lines import SessionLines
from hft.data.source import SourceData
from hft.data.text_normalizer import FieldsNormalizer
from hft.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hft.data.inputs import FineTuningInputs
    from hft.data.records import Record

_LINES_LOOKED_AT = 1000


class SessionFiles:
    """Sessions and items from JSONL, CSV or Parquet files, told by their suffix; text formats also with .gz.

    A line of sessions has a query, the ids of the results shown, and the events on them: a list of picked
    ids, or one weight for each result, or objects `{"item_id": ..., "type": ..., "weight": ...}`. A line of
    items has an id and a text. Lines that cannot be used go to the quarantine.

    Args:
        sessions: file of sessions.
        items: file of items.
        fields: names of the fields where they differ from those of hft.data.field_names.FieldNames, for
            example `{query: search_term, text: [title, description]}`.
        event_weights: weight of each type of event; None takes click 1, cart 3, purchase 10, impression and
            view 0.
        events_as: what a plain list of events is: ids of `picked` results or `weights` for each. `auto`
            tells by the content: numbers, as many as results, are weights.
        list_separator: between the entries of a list in a cell of a table; a cell that begins with [ is JSON.
        csv_delimiter: between the cells of a CSV line.
        query_retriever: takes the query out of a session's record; None: it is the field `fields.query`.
        normalizer: what each item's record goes through first; None: it stays as it is.
        item_text: makes the text of an item's record; None: it is `fields.text`.
    """

    def __init__(
        self,
        sessions: FilePath,
        items: FilePath,
        fields: dict[str, str | list[str]] | None = None,
        event_weights: dict[str, NonNegativeFloat] | None = None,
        events_as: Literal["auto", "picked", "weights"] = "auto",
        list_separator: Annotated[str, Field(min_length=1)] = "|",
        csv_delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
        query_retriever: QueryRetriever | None = None,
        normalizer: FieldsNormalizer | None = None,
        item_text: ItemText | None = None,
    ) -> None:
        self.sessions = Path(sessions)
        self.items = Path(items)
        self.names = field_names(fields)
        self.event_weights = dict(EVENT_WEIGHTS if event_weights is None else event_weights)
        self.events_as = events_as
        self.cells = CellFormat(list_separator, csv_delimiter)
        self.query_retriever = query_retriever
        self.normalizer = normalizer
        self.item_text = item_text

    def identity(self) -> SourceIdentity:
        """Its two files, and how they are read."""
        options = {
            "names": [self.sessions.name, self.items.name],
            "fields": self.names.model_dump(),
            "renamed": sorted(self.names.renamed()),
            "event_weights": self.event_weights,
            "events_as": self.events_as,
            "cells": asdict(self.cells),
            "parts": [told(part) for part in (self.query_retriever, self.normalizer, self.item_text)],
        }
        return SourceIdentity({"sessions": self.sessions, "items": self.items}, options)

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read the items, then the sessions.

        Raises:
            DataError: a file is missing, empty or damaged, a needed field is in no line, or too many lines
                are malformed.
        """
        try:
            items, merged = self._read_items(quarantine)
        except MissingFieldsError as error:
            quarantine.close()
            raise MissingFieldsError(" ".join([str(error), *self._missing_of_sessions()])) from error
        inputs = self._read_sessions(items, quarantine)
        return SourceData(items, inputs, dropped={"identical lines of items": merged})

    def _read_items(self, quarantine: Quarantine) -> tuple[ItemsSet, int]:
        lines = ItemLines(
            self.items,
            self.names.item_id,
            self.names.title,
            self.names.text_fields,
            quarantine,
            fields_key="data.source.fields.text",
            id_key="data.source.fields.item_id",
            item_text=self.item_text,
            normalizer=self.normalizer,
        )
        for record in read_records(self.items, "data.source.items", (), self.cells, quarantine):
            lines.add(record)
        return lines.finish()

    def _read_sessions(self, items: ItemsSet, quarantine: Quarantine) -> FineTuningInputs:
        lines = self._session_lines(items, quarantine)
        try:
            for record in self._session_records(quarantine):
                lines.add(record)
        finally:
            lines.finish_block()
        return lines.finish()

    def _missing_of_sessions(self) -> list[str]:
        """What the first sessions lack, for one message about both files."""
        quarantine = Quarantine()
        try:
            lines = self._session_lines(ItemsSet.from_columns([], [], []), quarantine)
            for record in islice(self._session_records(quarantine), _LINES_LOOKED_AT):
                lines.add(record)
            lines.require_fields()
        except MissingFieldsError as error:
            return [str(error)]
        except DataError:
            pass  # Told in full once the items are right.
        return []

    def _session_lines(self, items: ItemsSet, quarantine: Quarantine) -> SessionLines:
        by_type, separator = self.event_weights, self.cells.separator
        return SessionLines(
            self.sessions, self.names, items, by_type, self.events_as, quarantine, separator, self.query_retriever
        )

    def _session_records(self, quarantine: Quarantine) -> Iterator[Record]:
        lists = (self.names.results, self.names.events, self.names.ranks)
        return read_records(self.sessions, "data.source.sessions", lists, self.cells, quarantine)
