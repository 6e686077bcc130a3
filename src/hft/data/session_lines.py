"""Sessions read one by one from a file: checked, their ids turned into rows, kept as flat columns."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pydantic import ValidationError
from pydantic_core import from_json

from hft.data.arrow import list_column
from hft.data.events import EventsAs, event_weights
from hft.data.field_names import FieldNames, SessionRecord, session_record
from hft.data.inputs import FineTuningInputs
from hft.data.item_text import missing_field_message
from hft.data.ragged import RaggedPairs
from hft.data.reasons import reason_of
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.items import ItemsSet
    from hft.data.quarantine import Quarantine
    from hft.data.records import Record

UNKNOWN_ITEM = "results that no item has the id of were left out"
REPEATED_RESULT = "results that stand twice were left out"
TOO_FEW = "fewer than two results"

_REQUIRED = ("query", "results", "events")
_OPTIONAL = ("session_id", "ranks", "timestamp", "is_irrelevant", "batch_id", "group", "split")


class SessionLines:
    """Collects the sessions of a file.

    Args:
        file: the file, for messages.
        names: the user's names of the fields.
        items: the items that sessions may show.
        weights_by_type: weight of an event by its type.
        events_as: what plain entries of the events are.
        quarantine: where lines go that cannot be used.
    """

    def __init__(
        self,
        file: Path,
        names: FieldNames,
        items: ItemsSet,
        weights_by_type: Mapping[str, float],
        events_as: EventsAs,
        quarantine: Quarantine,
    ) -> None:
        self._file = file
        self._names = names
        self._items = items
        self._weights_by_type = weights_by_type
        self._events_as = events_as
        self._quarantine = quarantine
        self._record = session_record(names)
        self._row_of = {item_id: row for row, item_id in enumerate(items.ids)}
        self._lines = 0
        self._missing: Counter[str] = Counter()
        self._there: list[str] = []
        self._seen: set[str] = set()
        self._ids: list[str] = []
        self._queries: list[str] = []
        self._shown = RaggedPairs()
        self._ranks = RaggedPairs()
        self._timestamps: list[float | None] = []
        self._is_irrelevant = array("b")
        self._texts: dict[str, list[str | None]] = {"batch_id": [], "group": [], "split": []}

    def add(self, record: Record) -> None:
        """Check a record and keep it, or set it aside."""
        self._lines += 1
        self._quarantine.saw(self._file)
        try:
            if record.fields is None:
                session = self._record.model_validate_json(record.line or b"")
            else:
                session = self._record.model_validate(record.fields)
        except ValidationError as error:
            self._count_missing(error, record)
            self._quarantine.add(self._file, record.number, reason_of(error, record.raw), record.raw)
            return
        self._seen |= session.model_fields_set
        self._note_fields(record)
        problem = self._keep(session, record)
        if problem is not None:
            self._quarantine.add(self._file, record.number, problem, record.raw)

    def _keep(self, session: SessionRecord, record: Record) -> str | None:
        """Keep a session; what is wrong with it where it cannot be kept."""
        results = session.results
        irrelevant = bool(session.is_irrelevant)
        if "events" not in session.model_fields_set and not irrelevant:
            self._missing["events"] += 1
            self._note_fields(record)
            return f"missing field {self._names.events!r}"
        events = () if irrelevant else session.events or ()
        weights = event_weights(events, results, self._weights_by_type, self._events_as)
        if isinstance(weights, str):
            return weights
        ranks = session.ranks or None
        if ranks is not None and len(ranks) != len(results):
            return "as many ranks as results were expected"
        rows = [self._row_of.get(result, -1) for result in results]
        if -1 in rows or len(set(results)) != len(results):
            places = self._usable(rows, results, weights, record)
            rows = [rows[place] for place in places]
            weights = [weights[place] for place in places]
            ranks = None if ranks is None else [ranks[place] for place in places]
        if len(rows) < 2:
            return TOO_FEW
        self._ids.append(session.session_id or f"{self._file.name}:{record.number}")
        self._queries.append(session.query)
        self._shown.append(rows, weights)
        self._ranks.append(rows if ranks is not None else (), ranks or ())
        self._timestamps.append(session.seconds)
        self._is_irrelevant.append(irrelevant)
        for name, column in self._texts.items():
            column.append(getattr(session, name))
        return None

    def _usable(self, rows: list[int], results: list[str], weights: list[float], record: Record) -> list[int]:
        """Places of the results whose item is known, the first of each; its weight becomes the highest of
        them."""
        first: dict[str, int] = {}
        for place, result in enumerate(results):
            kept = first.setdefault(result, place)
            weights[kept] = max(weights[kept], weights[place])
        places = [place for place in first.values() if rows[place] >= 0]
        if len(places) >= 2:
            reason = UNKNOWN_ITEM if -1 in rows else REPEATED_RESULT
            self._quarantine.mended(self._file, record.number, reason, record.raw)
        return places

    def _count_missing(self, error: ValidationError, record: Record) -> None:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            for name in _REQUIRED:
                alias = getattr(self._names, name)
                if fault["type"] == "missing" and fault["loc"][:1] in ((alias,), (alias.split(".")[0],)):
                    self._missing[name] += 1
                    self._note_fields(record)

    def _note_fields(self, record: Record) -> None:
        if not self._there:
            fields = from_json(record.line or b"{}") if record.fields is None else record.fields
            self._there = sorted(map(str, fields))

    def finish(self) -> FineTuningInputs:
        """The sessions.

        Raises:
            DataError: the file is empty, a field is in no line, too many lines are malformed, or none is
                left.
        """
        self._require_fields()
        self._quarantine.check(self._file)
        if not self._ids:
            reasons = "; ".join(f"{count} x {reason}" for reason, count in self._quarantine.reasons.most_common(3))
            raise DataError(f"{self._file}: no session is left of {self._lines} lines: {reasons}.")
        offsets = self._shown.offsets
        ranks = None
        if len(self._ranks.weights):
            missing = np.diff(self._ranks.offsets) == 0
            ranks = list_column(self._ranks.offsets, self._ranks.weights, pa.float32(), missing)
        return FineTuningInputs.from_columns(
            self._items,
            self._ids,
            self._queries,
            offsets=offsets,
            results=self._shown.rows,
            events=self._shown.weights,
            ranks=ranks,
            timestamp=self._timestamps,
            is_irrelevant=[bool(flag) for flag in self._is_irrelevant],
            batch_id=self._texts["batch_id"],
            group=self._texts["group"],
            split=self._texts["split"],
        )

    def _require_fields(self) -> None:
        if self._lines == 0:
            raise DataError(f"{self._file}: the file is empty. Expected one session a line.")
        named = self._names.renamed()
        never = [name for name in _REQUIRED if self._missing[name] == self._lines]
        if self._seen:
            never += [name for name in _OPTIONAL if name in named and name not in self._seen]
        for name in never:
            alias, key = getattr(self._names, name), f"data.source.fields.{name}"
            raise DataError(missing_field_message(str(self._file), alias, key, self._there))
