"""Sessions and items by queries of a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeFloat
from pydantic_core import from_json, to_json

from hft.data.item_text import ItemText
from hft.data.plain_values import as_id, plain_value
from hft.data.query_retriever import QueryRetriever
from hft.data.records import CellFormat, NamedPlace, Record, Records
from hft.data.row_records import RowRecords, as_line
from hft.data.session_files import SessionRecords
from hft.data.sources.databases import Database
from hft.data.sources.spool import Spool
from hft.data.text_normalizer import FieldsNormalizer
from hft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine

_JOINED_AT_ONCE = 2000
_NO_ID = "no id of a session and of an item"
EVENTS_WITHOUT_SESSION = "rows of events whose session is not there"
RESULTS_WITHOUT_SESSION = "rows of results whose session is not there"


class SqlSessions(SessionRecords):
    """Sessions and items by queries of a database that SQLAlchemy knows: PostgreSQL, SQLite and others.

    A row of `sessions` is a session. Its results and events stand in it as lists (arrays, JSON, or texts with a
    separator), or come by queries of their own with a row for each result shown and each event: those rows have the
    session's id (`fields.session_id`) and the item's (`fields.item_id` in results, `fields.event_item_id` in events).
    Rows are streamed; those of results and events wait in a temporary file of SQLite, so that memory stays flat.

    Args:
        url_env: name of the variable of the environment that holds the address,
            `postgresql://user:password@host/name` or `sqlite:////path/to/file.db`.
        sessions: query of the sessions. To go on after a broken connection it must end with ORDER BY and a unique
            column, as all queries must.
        items: query of the items.
        results: query of the results shown, in their order within a session; None: they stand in the sessions.
        events: query of the events; None: they stand in the sessions.
        fields, event_weights, list_separator: as SessionFiles has them, for columns.
        rows_at_once: rows that are asked for at a time; more: fewer trips, more memory.
        retries: how often a query is asked again after its connection broke; 0: never.
        retry_seconds: before the first time; each further pause is twice as long, at most 30.
        query_retriever, normalizer, item_text: as SessionFiles has them.
    """

    VARIABLES = ("url_env",)

    def __init__(
        self,
        url_env: str,
        sessions: Annotated[str, Field(min_length=1)] | None,
        items: Annotated[str, Field(min_length=1)] | None,
        results: Annotated[str, Field(min_length=1)] | None = None,
        events: Annotated[str, Field(min_length=1)] | None = None,
        fields: dict[str, str | list[str] | None] | None = None,
        event_weights: dict[str, NonNegativeFloat] | None = None,
        list_separator: Annotated[str, Field(min_length=1)] = "|",
        rows_at_once: Annotated[int, Field(ge=1, le=1_000_000)] = 5000,
        retries: Annotated[int, Field(ge=0, le=20)] = 5,
        retry_seconds: Annotated[float, Field(ge=0.0, le=30.0)] = 0.5,
        query_retriever: QueryRetriever | None = None,
        normalizer: FieldsNormalizer | None = None,
        item_text: ItemText | None = None,
    ) -> None:
        cells = CellFormat(list_separator)
        super().__init__(fields, event_weights, cells, query_retriever, normalizer, item_text)
        if self.names.weights is not None and events is not None:
            raise ConfigError("data.source.fields.weights: it takes the place of data.source.events; leave one out.")
        self.sessions = sessions
        self.items = items
        self.results = results
        self.events = events
        self.has_sessions, self.has_items = sessions is not None, items is not None
        self.database = Database(url_env, rows_at_once, retries, retry_seconds)

    def item_parts(self, quarantine: Quarantine) -> list[Records]:
        place = NamedPlace("items", "data.source.items")
        return [Records(place, lambda: self._records(self.items or "", place, (), quarantine))]

    def session_parts(self, quarantine: Quarantine) -> list[Records]:
        place = NamedPlace("sessions", "data.source.sessions")
        return [Records(place, lambda: self._sessions(place, quarantine))]

    def _records(
        self,
        query: str,
        place: NamedPlace,
        list_fields: Sequence[str],
        quarantine: Quarantine,
        needed: Sequence[str] = (),
    ) -> Iterator[Record]:
        rows = RowRecords(str(place), list_fields, self.cells.separator, quarantine)
        for fields in self._rows(query, place, needed):
            record = rows.of_row(fields)
            if record is not None:
                yield record

    def _rows(self, query: str, place: NamedPlace, needed: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Rows of a query.

        Raises:
            DataError: they lack one of the columns that tell which rows belong together.
        """
        for number, row in enumerate(self.database.rows(query, str(place))):
            absent = [column for column in needed if column not in row] if number == 0 else []
            if absent:
                raise DataError(
                    f"{place} gives no column {absent[0]!r} (it gives: {', '.join(row)}). Write it into the query as "
                    f"`COLUMN AS {absent[0]}`."
                )
            yield row

    def _sessions(self, place: NamedPlace, quarantine: Quarantine) -> Iterator[Record]:
        is_joined = self.results is not None or self.events is not None
        needed = [self.names.session_id] if is_joined else []
        records = self._records(self.sessions or "", place, self.list_fields, quarantine, needed)
        if not is_joined:
            yield from records
            return
        self.dropped = Counter()
        with Spool() as results, Spool() as events:
            self._fill(results, self.results, "results", self.names.item_id, quarantine)
            self._fill(events, self.events, "events", self.names.event_item_id, quarantine)
            while block := list(islice(records, _JOINED_AT_ONCE)):
                yield from self._joined(block, results, events)
            self.dropped[RESULTS_WITHOUT_SESSION] = results.unclaimed
            self.dropped[EVENTS_WITHOUT_SESSION] = events.unclaimed

    def _fill(self, spool: Spool, query: str | None, kind: str, item_field: str, quarantine: Quarantine) -> None:
        """Read the rows of results, or of events: (session's id, the rest as JSON)."""
        if query is None:
            return
        place, id_field = NamedPlace(kind, f"data.source.{kind}"), self.names.session_id
        number = 0
        for number, row in enumerate(self._rows(query, place, (id_field, item_field)), start=1):
            quarantine.saw(str(place))
            try:
                session_id, item_id = as_id(row[id_field]), as_id(row[item_field])
            except ValueError:
                session_id = item_id = ""
            if not session_id or not item_id:
                problem = f"{_NO_ID} (columns {id_field!r} and {item_field!r})"
                quarantine.add(str(place), number, problem, repr(row))
                continue
            # A column that is always null is there all the same.
            kept = {name: plain_value(value) for name, value in row.items() if name != id_field} | {item_field: item_id}
            spool.add(session_id, to_json(kept if kind == "events" else item_id, fallback=str))
        quarantine.check(str(place))

    def _joined(self, block: list[Record], results: Spool, events: Spool) -> Iterator[Record]:
        """Sessions with their results and events."""
        ids = [_id_of((record.fields or {}).get(self.names.session_id)) for record in block]
        shown = results.of(ids) if self.results is not None else {}
        done = events.of(ids) if self.events is not None else {}
        for session_id, record in zip(ids, block, strict=True):
            fields: dict[str, Any] = dict(record.fields or {})
            if self.results is not None:
                fields[self.names.results] = [from_json(body) for body in shown.get(session_id, ())]
            if self.events is not None:
                fields[self.names.events] = [from_json(body) for body in done.get(session_id, ())]
            yield Record(record.number, as_line(fields), fields)


def _id_of(value: Any) -> str:
    """The id of a session; empty where it has none, which no row of results and events has."""
    try:
        return as_id(value)
    except ValueError:
        return ""
