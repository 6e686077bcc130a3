"""Logs of OpenSearch's User Behavior Insights: queries, and events on the objects that they showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat
from pydantic_core import from_json, to_json

from hft.data.events import EVENT_WEIGHTS
from hft.data.identity import SourceIdentity
from hft.data.item_text import ItemText, look_up
from hft.data.records import CellFormat, NamedPlace, Record, Records
from hft.data.session_files import SessionRecords
from hft.data.sources.loadable import LoadableResults
from hft.data.sources.record_files import FilesOfRecords
from hft.data.sources.spool import Spool
from hft.data.sources.ubi_records import QueryGroup, document_of, plain_event, plain_query, session_of
from hft.data.text_normalizer import FieldsNormalizer
from hft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from hft.data.quarantine import Quarantine
    from hft.data.sources.record_files import RecordFile

FEW_SHOWN = "queries with fewer than two results shown"
NO_WORDS = "queries without words"
OTHER_ACTIONS = "events of actions that say nothing of a result"
_ACTIONS_NAMED = 5
_APPLICATIONS_NAMED = 10
OTHER_APPLICATIONS = "records of other applications"
DESCRIBED_TWICE = "objects described in two ways: the first was taken"


class UbiSessions(SessionRecords):
    """Sessions from UBI's indices `ubi_events` and `ubi_queries`, exported as JSON lines: documents, hits with
    `_source`, or the lines of a bulk request.

    A session is a query (`query_id`): its words, the objects shown (impressions in the order of their positions, or
    the ids that the query gave back), and what was done with them (clicks, carts, purchases, with their dwell times).
    The client is its user and group. Events may come in any order; they wait in a temporary file: memory stays flat.

    Args:
        events: file, folder or pattern of the events, as SessionFiles has them.
        queries: the same of the queries.
        items: the same of the items; None takes the objects that events describe (`description` is title and text).
        applications: take only records of these; None takes all.
        shown: what was shown: `impressions`, the query's `hits`, or `auto`: impressions, unless the hits hold more of
            what was clicked.
        impressions: names of the actions that say that an object was shown.
        event_weights: weight of each action on an object; None takes click 1, cart 3, purchase 10. Other actions are
            passed over and counted.
        fields, list_separator, csv_delimiter, retries, retry_seconds, normalizer, item_text: as SessionFiles has them,
            for the items.
    """

    LOCATIONS = ("events", "queries", "items")

    def __init__(
        self,
        events: Annotated[str, Field(min_length=1)],
        queries: Annotated[str, Field(min_length=1)],
        items: Annotated[str, Field(min_length=1)] | None = None,
        applications: list[str] | None = None,
        shown: Literal["auto", "impressions", "hits"] = "auto",
        impressions: list[str] | None = None,
        event_weights: dict[str, NonNegativeFloat] | None = None,
        fields: dict[str, str | list[str] | None] | None = None,
        list_separator: Annotated[str, Field(min_length=1)] = "|",
        csv_delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
        retries: Annotated[int, Field(ge=0, le=20)] = 5,
        retry_seconds: Annotated[float, Field(ge=0.0, le=30.0)] = 0.5,
        normalizer: FieldsNormalizer | None = None,
        item_text: ItemText | None = None,
    ) -> None:
        cells = CellFormat(list_separator, csv_delimiter)
        super().__init__(fields, event_weights, cells, normalizer=normalizer, item_text=item_text)
        if self.names.weights is not None:
            raise ConfigError("data.source.fields.weights: UBI has events, no weights of results. Leave it out.")
        if items is None and self.names.text is None:  # a description is title and text: once is enough
            self.names = self.names.model_copy(update={"text": "text"})
        self.impressions = ["impression"] if impressions is None else list(impressions)
        self.applications = None if applications is None else list(applications)
        self.shown = shown
        weights = EVENT_WEIGHTS if event_weights is None else event_weights
        self.event_weights = {name: weight for name, weight in weights.items() if name not in self.impressions}
        given = {"events": events, "queries": queries, "items": items}
        self._files = {
            role: FilesOfRecords(str(location), f"data.source.{role}", self.cells, retries, retry_seconds)
            for role, location in given.items()
            if location is not None
        }
        self._objects: dict[str, bytes] = {}
        self._actions: Counter[str] = Counter()
        self._applications_seen: Counter[str] = Counter()
        self._spool: Spool | None = None

    def identity(self) -> SourceIdentity | None:
        """Its files, and how they are read; None where a store does not tell when a file changes.

        Raises:
            DataError: a file is missing.
        """
        files: dict[str, Path | RecordFile] = {}
        for role, group in self._files.items():
            found = group.identity(role)
            if found is None:
                return None
            files |= found
        options = {name: getattr(self, name) for name in ("impressions", "applications", "shown")}
        return SourceIdentity(files, {"files": sorted(files), **options, **self.reading_options()})

    def item_parts(self, quarantine: Quarantine) -> list[Records]:
        if "items" in self._files:
            return self._files["items"].parts((), quarantine)
        self._gather(quarantine)
        if not self._objects:
            raise DataError(
                f"data.source.events: no event in {self._files['events'].location} describes its object "
                "(event_attributes.object.description). Name the items: data.source.items=FILE."
            )
        location = self._files["events"].location
        return [Records(NamedPlace("objects", f"{location} (objects described)"), self._described)]

    def session_parts(self, quarantine: Quarantine) -> list[Records]:
        if self._spool is None:
            self._gather(quarantine)
        place = NamedPlace("queries", f"{self._files['queries'].location} (queries with their events)")
        return [Records(place, lambda: self._sessions(place, quarantine))]

    def told_notes(self) -> list[str]:
        """The actions that were passed over, the most frequent first: a click may have another name here."""
        notes = super().told_notes()
        if not self._actions:
            return notes
        named = ", ".join(f"{action} ({count:,})" for action, count in self._actions.most_common(_ACTIONS_NAMED))
        more = f" and {len(self._actions) - _ACTIONS_NAMED} more" if len(self._actions) > _ACTIONS_NAMED else ""
        taken = ", ".join(self.event_weights) or "none"
        return [
            *notes,
            f"actions passed over: {named}{more}; taken: {taken} (data.source.event_weights), "
            f"{', '.join(self.impressions) or 'none'} (data.source.impressions)",
        ]

    def _described(self) -> Iterator[Record]:
        for number, line in enumerate(self._objects.values(), start=1):
            yield Record(number, line, None)
        self._objects.clear()

    def _gather(self, quarantine: Quarantine) -> None:
        """Read events and queries once, into a spool by query."""
        self._spool, self.dropped = Spool(), Counter()
        self._actions, self._applications_seen = Counter(), Counter()
        for role, take in (("events", self._take_event), ("queries", self._take_query)):
            for place, records in self._files[role].parts((), quarantine):
                for record in records():
                    quarantine.saw(str(place))
                    problem = self._document(record, take)
                    if problem is not None:
                        quarantine.add(str(place), record.number, problem, record.raw)
                quarantine.check(str(place))
        self._check_applications()

    def _check_applications(self) -> None:
        """Look, after the last record, whether each application that was named is there.

        Raises:
            DataError: one is in no record.
        """
        absent = [name for name in self.applications or () if name not in self._applications_seen]
        if absent:
            named = " or ".join(map(repr, absent))
            there = [name for name, _ in self._applications_seen.most_common()]
            found = ", ".join(sorted(there[:_APPLICATIONS_NAMED])) + (
                ", ..." if len(there) > _APPLICATIONS_NAMED else ""
            )
            raise DataError(f"data.source.applications: no record of application {named}; found: {found or 'none'}.")

    def _document(self, record: Record, take: Any) -> str | None:
        """Take a document; what is wrong with it where it cannot be taken."""
        fields = record.parsed()
        if isinstance(fields, str):
            return fields
        document = document_of(fields)
        if document is None:
            return "not an object"
        if not document:  # a line of a bulk request that only announces the next one
            return None
        application = document.get("application")
        if self.applications is not None and isinstance(application, str):
            self._applications_seen[application] += 1
        if self.applications is not None and application not in self.applications:
            self.dropped[OTHER_APPLICATIONS] += 1
            return None
        problem: str | None = take(document, record.number)
        return problem

    def _take_event(self, document: Mapping[str, Any], number: int) -> str | None:
        action = document.get("action_name")
        if not isinstance(action, str):
            return "no action_name"
        if action not in self.impressions and action not in self.event_weights:
            self.dropped[OTHER_ACTIONS] += 1
            self._actions[action] += 1
            return None
        event = plain_event(document, action, number, is_impression=action in self.impressions)
        if isinstance(event, str):
            return event
        query_id, kept = event
        assert self._spool is not None
        self._spool.add(query_id, to_json(kept))
        if "items" not in self._files:
            self._describe(look_up(document, "event_attributes.object")[1], kept["item"])
        return None

    def _describe(self, described: Mapping[str, Any], item_id: str) -> None:
        words = described.get("description")
        if not isinstance(words, str) or not words.strip():
            return
        names = self.names
        texts = {names.title: words, **({names.text: words} if names.text == "text" else {})}
        line = to_json({**described, names.item_id: item_id, **texts}, fallback=str)
        if self._objects.setdefault(item_id, line) != line:
            self.dropped[DESCRIBED_TWICE] += 1

    def _take_query(self, document: Mapping[str, Any], number: int) -> str | None:
        query = plain_query(document, number)
        if isinstance(query, str):
            return query
        query_id, kept = query
        assert self._spool is not None
        self._spool.add(query_id, to_json(kept))
        return None

    def _sessions(self, place: NamedPlace, quarantine: Quarantine) -> Iterator[Record]:
        """A session for each query with at least two results, in the order of the queries' ids."""
        loadable = LoadableResults(self.loaded_items, self.names, quarantine)
        spool, self._spool = self._spool, None
        assert spool is not None
        with spool:
            for query_id, bodies in spool.groups():
                group = QueryGroup.of(query_id, [from_json(body) for body in bodies])
                if not group.words:
                    self.dropped[NO_WORDS] += 1
                    continue
                results = group.results(self.shown)
                if len(results) < 2:
                    self.dropped[FEW_SHOWN] += 1
                    continue
                fields = session_of(group, results, self.names)
                kept = loadable.of(fields, place, group.line, to_json(fields))
                if kept is not None:
                    yield Record(group.line, to_json(kept), None)
        self.dropped.update(loadable.counts())
