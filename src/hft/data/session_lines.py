"""Sessions read one by one from a file: checked, their ids turned into rows, kept as flat columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hft.data.arrow import one_array
from hft.data.event_fields import EventFields
from hft.data.events import event_dwells, event_weights, given_weights
from hft.data.field_names import EventRecord, FieldNames, SessionRecord, session_record
from hft.data.field_values import look_up
from hft.data.joined_ids import read_as_one
from hft.data.missing_fields import FieldPresence, MissingFieldsError, Needed, missing_fields_message
from hft.data.plain_sessions import PlainSessions
from hft.data.reasons import reason_of
from hft.data.records import Record
from hft.data.session_columns import OPTIONAL_TEXTS, SessionColumns, in_order
from hft.data.text_length import QUERIES
from hft.errors import DataError
from hft.moments import EXPECTED, MOST_SECONDS

if TYPE_CHECKING:
    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet
    from hft.data.quarantine import Quarantine
    from hft.data.query_retriever import QueryRetriever
    from hft.data.records import Place

UNKNOWN_ITEM = "results that no item has the id of were left out"
REPEATED_RESULT = "results that stand twice were left out"
NOT_LOADED_ITEMS = "items that sessions show and that cannot be loaded"
LEFT_ALONE = "sessions left with fewer than two results"
TOO_FEW = "fewer than two results"

_OPTIONAL = ("session_id", "ranks", "timestamp", "is_irrelevant", *OPTIONAL_TEXTS)
# Lines of the short way that are checked at once.
BLOCK_LINES = 16_384
_IDS_NAMED = 3
_TRUE = ("true", "1", "1.0", "yes", "on", "t", "y")


def _evidence(names: FieldNames) -> str:
    """The name that the field of the events goes by."""
    return "events" if names.weights is None else "weights"


class SessionLines:
    """Collects the sessions of a file, or of several one after the other.

    Args:
        file: the first file, for messages.
        names: the user's names of the fields.
        items: the items that sessions may show.
        weights_by_type: weight of an event by its type.
        quarantine: where lines go that cannot be used.
        list_separator: what separates the entries of a list in a cell of a table, for messages.
        query: takes the query out of a record; None: it is the field of its name.
    """

    def __init__(
        self,
        file: Place,
        names: FieldNames,
        items: ItemsSet,
        weights_by_type: Mapping[str, float],
        quarantine: Quarantine,
        list_separator: str = "|",
        query: QueryRetriever | None = None,
    ) -> None:
        self._file = file
        self._names = names
        self._items = items
        self._weights_by_type = weights_by_type
        self._quarantine = quarantine
        self._record = session_record(names)
        self._row_of = {item_id: row for row, item_id in enumerate(items.ids)}
        self._lines = 0
        self._time_units: set[str] = set()
        self._list_separator = list_separator
        required = {"query": names.query, "results": names.results, _evidence(names): names.events_field}
        needed = [Needed(field, f"data.source.fields.{name}") for name, field in required.items()]
        self._query = query
        if query is not None:
            needed = [Needed(field, query.key, False, is_within=True) for field in query.fields] + needed[1:]
        self._presence = FieldPresence(needed)
        self._files = [str(file)]
        self._events = needed[-1]
        self._seen: set[str] = set()
        self._not_loaded: set[str] = set()
        self._left_alone = 0
        self._columns = SessionColumns(items)
        self._event_fields = EventFields(names)
        item_ids = one_array(items.table.column("item_id"))
        self._plain = PlainSessions(
            file, names, item_ids, weights_by_type, self._event_fields, quarantine.max_text_length
        )
        self._plain_lines = 0
        # Lines of the block that wait for the careful way, and those that may have to.
        self._doubtful: list[Record] = []
        self._block: list[Record] = []

    def begin(self, file: Place) -> None:
        """The records that follow are of this file; what the last one lacks is told now.

        Raises:
            DataError: the last file lacks a field, or has too many malformed lines.
        """
        self._end_file()
        if str(file) != self._files[-1]:
            self._files.append(str(file))
        self._file = file
        self._presence = FieldPresence(self._presence.needed)
        self._plain.begin(file.name)

    def _end_file(self) -> None:
        self.finish_block()
        self._count_plain_lines()
        file = str(self._file)
        self._presence.require(file, in_most=self._quarantine.is_too_full(file))
        self._quarantine.check(file)

    def add(self, record: Record) -> None:
        """Check a record and keep it, or set it aside; a block of plain ones is checked as a whole."""
        if self._query is not None:
            record = self._query.filled_in(record, self._names.query)
        # The first good line is looked at with care: it says which fields there are. So is each with a query to make.
        may_be_plain = self._presence.lines and self._query is None
        if may_be_plain and isinstance(record.line, bytes) and self._plain.read(record.line, record.number):
            self._block.append(record)
        elif self._block:
            self._doubtful.append(record)  # it waits, so that lines are set aside in their order
        else:
            self._add_with_care(record)
        if len(self._block) + len(self._doubtful) >= BLOCK_LINES:
            self.finish_block()

    def finish_block(self) -> None:
        """Keep the plain records that wait, and check the others of their block."""
        if not self._block:
            return
        batch, numbers, also_doubtful = self._plain.finish_block()
        self._plain_lines += len(numbers)
        if len(also_doubtful):
            chosen = set(also_doubtful.tolist())
            self._doubtful += [record for record in self._block if record.number in chosen]
            self._doubtful.sort(key=lambda record: record.number)
        self._columns.add(self._columns.finish_block())  # what came before this block
        kept: list[int] = []
        for record in self._doubtful:
            self._add_with_care(record)
            kept += [record.number] * (self._columns.waiting - len(kept))
        self._columns.add(in_order(batch, numbers, self._columns.finish_block(), kept) if kept else batch)
        self._block, self._doubtful = [], []

    def _add_with_care(self, record: Record) -> None:
        self._lines += 1
        self._quarantine.saw(str(self._file))
        fields = record.parsed(allow_inf_nan=True)
        if isinstance(fields, str):
            self._quarantine.add(str(self._file), record.number, fields, record.raw)
            return
        try:
            session = self._record.model_validate(fields)
        except ValidationError as error:
            self._count_fields(fields)
            reason = self._event_fields.lacking_id(self._raw_events(fields)) or self._reason(error, record)
            self._quarantine.add(str(self._file), record.number, reason, record.raw)
            return
        self._seen |= session.model_fields_set
        if "events" in session.model_fields_set and self._presence.lines and self._query is None:
            self._presence.complete()
        else:
            self._count_fields(fields)
        self._look_at_events(session, fields)
        if session.time_unit not in (None, "seconds"):
            self._time_units.add(str(session.time_unit))
        problem = self._keep(session, record)
        if problem is not None:
            self._quarantine.add(str(self._file), record.number, problem, record.raw)

    def _reason(self, error: ValidationError, record: Record) -> str:
        """Why a line cannot be read; of a timestamp what is expected of it."""
        reason = reason_of(error, record.raw)
        field = f"field {self._names.timestamp!r}: "
        return f"{field}expected {EXPECTED}" if reason.startswith(field) else reason

    def _keep(self, session: SessionRecord, record: Record) -> str | None:
        """Keep a session; what is wrong with it where it cannot be kept."""
        results = session.results
        irrelevant = bool(session.is_irrelevant)
        if "events" not in session.model_fields_set and not irrelevant:
            return f"missing field {self._names.events_field!r}"
        events = () if irrelevant else session.events or ()
        joined = self._joined(results, events, record)
        if joined is not None:
            return joined
        if self._names.weights is not None:
            weights = given_weights(events, results)
        else:
            weights = event_weights(events, results, self._weights_by_type)
        if isinstance(weights, str):
            return weights
        ranks = session.ranks or None
        if ranks is not None and len(ranks) != len(results):
            return "as many ranks as results were expected"
        dwell = event_dwells(events, results, self._weights_by_type)
        rows = [self._row_of.get(result, -1) for result in results]
        positions = None
        if -1 in rows or len(set(results)) != len(results):
            places = self._usable(rows, results, weights, record)
            rows, positions = [rows[place] for place in places], places
            weights = [weights[place] for place in places]
            ranks = None if ranks is None else [ranks[place] for place in places]
            dwell = None if dwell is None else [dwell[place] for place in places]
        if len(rows) < 2:
            if len(set(results)) < 2:
                return TOO_FEW
            self._left_alone += 1
            self._quarantine.dropped(str(self._file), record.number, LEFT_ALONE, record.raw)
            return None
        self._columns.append(
            session.session_id or f"{self._file.name}:{record.number}",
            self._quarantine.cut(session.query, QUERIES, str(self._file), record.number),
            rows,
            weights,
            ranks,
            session.seconds,
            irrelevant,
            session.batch_id,
            session.group,
            session.split,
            session.user_id,
            session.sort_by,
            session.user_agent,
            dwell,
            positions,
        )
        return None

    def _usable(self, rows: list[int], results: list[str], weights: list[float], record: Record) -> list[int]:
        """Places of the results whose item is known, the first of each; its weight becomes the highest of
        them."""
        first: dict[str, int] = {}
        for place, result in enumerate(results):
            kept = first.setdefault(result, place)
            weights[kept] = max(weights[kept], weights[place])
        unknown = [result for result, kept in first.items() if rows[kept] < 0]
        self._not_loaded.update(unknown)
        if unknown:
            self._quarantine.mended(str(self._file), record.number, UNKNOWN_ITEM, record.raw, unknown)
        elif len(first) >= 2:
            self._quarantine.mended(str(self._file), record.number, REPEATED_RESULT, record.raw)
        return [place for place in first.values() if rows[place] >= 0]

    def _joined(self, results: list[str], events: Sequence[object], record: Record) -> str | None:
        """What is wrong with a cell of a table that holds several ids as one."""
        if record.fields is None:
            return None
        picked = [event for event in events if isinstance(event, str)] if len(events) == 1 else []
        lists = {self._names.results: (results, self._row_of), self._names.events_field: (picked, set(results))}
        return read_as_one(lists, self._list_separator)

    def _look_at_events(self, session: SessionRecord, fields: Mapping[str, Any]) -> None:
        """Remember which fields event objects have."""
        objects = [event for event in session.events or () if isinstance(event, EventRecord)]
        if not objects:
            return
        self._event_fields.untyped += sum(event.type is None and event.weight is None for event in objects)
        for event in self._raw_events(fields):
            if isinstance(event, Mapping):
                self._event_fields.saw(event)

    def _raw_events(self, fields: Mapping[str, Any]) -> list[Any]:
        events = look_up(fields, self._names.events_field)[1]
        return events if isinstance(events, list) else []

    def _count_fields(self, fields: Mapping[str, Any]) -> None:
        """Count which fields a line has."""
        flag = str(look_up(fields, self._names.is_irrelevant)[1]).strip().casefold()
        self._presence.count(fields, optional=(self._events,) if flag in _TRUE else ())

    @property
    def dropped(self) -> dict[str, int]:
        """What was left out for items that nobody has, for the report."""
        counts = {NOT_LOADED_ITEMS: len(self._not_loaded), LEFT_ALONE: self._left_alone}
        return {reason: count for reason, count in counts.items() if count}

    def notes(self) -> list[str]:
        """Lines for people about what was read."""
        self.finish_block()
        units = " and ".join(sorted(self._time_units | self._plain.time_units))
        times = (
            [f"timestamps that are numbers beyond {MOST_SECONDS:,.0f} were read as {units} since 1970"] if units else []
        )
        return [*self._event_fields.notes(), *times]

    def finish(self) -> FineTuningInputs:
        """The sessions.

        Raises:
            DataError: the file is empty, none is left, or as of finish_some.
        """
        self.finish_block()
        self._count_plain_lines()
        if self._lines == 0 and not any(self._quarantine.read[each] for each in self._files):
            what = "the file is empty" if len(self._files) == 1 else f"it and {len(self._files) - 1} more are empty"
            raise DataError(f"{self._files[0]}: {what}. Expected one session a line.")
        inputs = self.finish_some()
        if not len(inputs):
            reasons = "; ".join(f"{count} x {reason}" for reason, count in self._quarantine.reasons.most_common(3))
            named = ", ".join(map(repr, sorted(self._not_loaded)[:_IDS_NAMED]))
            advice = f" Do the items belong to these sessions? No item has such an id: {named}." if named else ""
            raise DataError(f"{self._files[0]}: no session is left of {self._lines} lines: {reasons}.{advice}")
        return inputs

    def finish_some(self) -> FineTuningInputs:
        """The sessions, or none.

        Raises:
            DataError: a field is in no line, or too many lines are malformed.
        """
        self.require_fields()
        self._quarantine.check(str(self._file))
        return self._columns.finish()

    def _count_plain_lines(self) -> None:
        """Enter the lines of the short way where all others were entered one by one."""
        if not self._plain_lines:
            return
        self._lines += self._plain_lines
        self._quarantine.saw(str(self._file), self._plain_lines)
        self._presence.complete(self._plain_lines)
        self._plain_lines = 0
        self._seen |= {name for name in _OPTIONAL if getattr(self._names, name) in self._plain.fields}

    def require_fields(self) -> None:
        """Check, after the last line, that the fields are there that sessions need.

        Raises:
            DataError: a field is in no line, or in so few that the run cannot go on.
        """
        self.finish_block()
        self._count_plain_lines()
        file = str(self._file)
        self._presence.require(file, in_most=self._quarantine.is_too_full(file))
        named = self._names.renamed() if self._seen else set()
        never = [
            Needed(getattr(self._names, name), f"data.source.fields.{name}")
            for name in _OPTIONAL
            if name in named and name not in self._seen
        ]
        if never:
            raise MissingFieldsError(missing_fields_message(file, never, self._presence.there))
        self._event_fields.require(file)
