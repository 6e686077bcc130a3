"""The short way for lines of sessions that are plainly good. It keeps nothing that the careful way would see otherwise.

Most lines of a log are of the plainest kind: an object with a query, ids that are all known and distinct, events on
results that were shown. Those are told by a look at each value's exact type, and what can be told of many at once
(which item an id means), of a block of lines. Every line in doubt (another type, blanks around the query, an unknown
id, a number where a text may stand) is given back, and goes through hft.data.field_names.SessionRecord: with the same
outcome, or with what is wrong with it.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter
from pydantic_core import from_json

from hft.data.arrow import list_column
from hft.data.event_fields import EventFields
from hft.data.events import longer_stay
from hft.data.field_names import FieldNames
from hft.data.inputs import INPUTS_SCHEMA
from hft.data.json_values import may_repeat_a_name
from hft.data.session_columns import OPTIONAL_TEXTS, TOLD_TEXTS, dwell_column
from hft.moments import MOST_SECONDS, epoch_seconds, epoch_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.records import Place

_INFINITY = float("inf")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_MOMENT = TypeAdapter(datetime)


class PlainSessions:
    """Reads lines of the plainest kind into a block.

    Args:
        file: whose name and line make the id of a session that has none.
        names: the user's names of the fields.
        item_ids: string[items], ids of the items by row.
        weights_by_type: weight of an event by its type.
        event_fields: learns which fields event objects have.
        longest_query: characters; a longer one takes a closer look. None: none is too long.

    Attributes:
        fields: names of fields that were in lines read, those that hft does not know too.
        time_units: what timestamps count that are numbers of less than seconds.
    """

    def __init__(
        self,
        file: Place,
        names: FieldNames,
        item_ids: pa.Array,
        weights_by_type: Mapping[str, float],
        event_fields: EventFields | None = None,
        longest_query: int | None = None,
    ) -> None:
        self._file_name = file.name
        self._names = names
        self._item_ids = item_ids
        self._by_type = weights_by_type
        self._event_fields = event_fields or EventFields(names)
        self._longest_query = _INFINITY if longest_query is None else longest_query
        self._texts = [(name, getattr(names, name)) for name in OPTIONAL_TEXTS if name not in TOLD_TEXTS]
        self._told = [(name, getattr(names, name)) for name in TOLD_TEXTS]
        given = [names.session_id, names.query, names.results, names.events_field, names.ranks, names.timestamp]
        given += [names.is_irrelevant, names.event_item_id, names.event_type, names.event_weight]
        given += [names.event_dwell]
        given += [field for _, field in (*self._texts, *self._told)]
        # A dot may lead into an object, which only the careful way follows.
        self._can_read = not any("." in name for name in given)
        self.fields: set[str] = set()
        self.time_units: set[str] = set()
        self._begin()

    def begin(self, file_name: str) -> None:
        """The lines that follow are of this file. No line waits."""
        self._file_name = file_name

    def _begin(self) -> None:
        self._numbers: list[int] = []
        self._ids: list[str] = []
        self._queries: list[str] = []
        self._results: list[str] = []
        self._ends = array("q", [0])
        self._event_places = array("q")
        self._event_weights = array("f")
        self._timestamps = array("d")
        self._irrelevant: list[int] = []
        # Of these most logs have none: by the session's place in the block.
        self._ranks: dict[int, list[float]] = {}
        self._more: dict[str, dict[int, str]] = {name: {} for name in OPTIONAL_TEXTS}
        self._dwells: dict[int, list[float | None]] = {}
        # Event objects without a type and a weight.
        self._untyped: dict[int, int] = {}
        self._untyped_here = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, line: bytes, number: int) -> bool:
        """Take a line into the block; False leaves it to the careful way.

        Args:
            line: JSON.
            number: of the line, higher than all before it.
        """
        if not self._can_read:
            return False
        try:
            fields = from_json(line, allow_inf_nan=False, cache_strings="keys")
            return not may_repeat_a_name(line, fields) and self._take(fields, number)
        except (ValueError, KeyError, TypeError, OverflowError):
            return False

    def _take(self, fields: Any, number: int) -> bool:
        """Take an object.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: it is not of the plainest kind.
        """
        names = self._names
        query, results, events = fields[names.query], fields[names.results], fields[names.events_field]
        if type(fields) is not dict or type(query) is not str or not query or query != query.strip():
            return False
        if len(query) > self._longest_query:
            return False
        kinds = set(map(type, results)) if type(results) is list and len(results) >= 2 else None
        if kinds == {int}:
            results = list(map(str, results))
        elif kinds != {str}:
            return False
        flag = fields.get(names.is_irrelevant)
        if flag is not None and flag is not False and (flag is not True or events):
            return False
        picked: Mapping[int, float] | None = {}
        stays: dict[int, float | None] = {}
        self._untyped_here = 0
        if events:
            picked = self._picked(events, results, stays) if type(events) is list else None
        ranks = fields.get(names.ranks)
        if picked is None or (ranks is not None and not (ranks == [] or _are_numbers(ranks, len(results), -_INFINITY))):
            return False
        ranks = list(map(float, ranks)) if ranks else None
        timestamp = fields.get(names.timestamp)
        seconds = _seconds(timestamp)
        session_id = _text(fields.get(names.session_id))
        more = [(name, _text(fields[field])) for name, field in self._texts if fields.get(field) is not None]
        more += [(name, _told(fields[field])) for name, field in self._told if fields.get(field) is not None]
        # From here on nothing fails.
        here, start = len(self._numbers), self._ends[-1]
        self._numbers.append(number)
        self._ids.append(session_id or f"{self._file_name}:{number}")
        self._queries.append(query)
        self._results += results
        self._ends.append(start + len(results))
        for place, weight in picked.items():
            self._event_places.append(start + place)
            self._event_weights.append(weight)
        self._timestamps.append(seconds)
        if isinstance(timestamp, int | float) and abs(timestamp) > MOST_SECONDS:
            self.time_units.add(epoch_unit(timestamp))
        if flag:
            self._irrelevant.append(here)
        if ranks:
            self._ranks[here] = ranks
        for name, text in more:
            self._more[name][here] = text or ""
        if stays and any(stay is not None for stay in stays.values()):
            self._dwells[here] = [stays.get(place) for place in range(len(results))]
        if self._untyped_here:
            self._untyped[here] = self._untyped_here
        if not fields.keys() <= self.fields:
            self.fields.update(fields)
        return True

    def _picked(
        self, events: list[Any], results: list[str], stays: dict[int, float | None]
    ) -> Mapping[int, float] | None:
        """Weights above 0 by place, from events of one kind; None where it takes a closer look.

        Args:
            events: of the session.
            results: ids shown.
            stays: filled with the seconds that the user stayed with a result, by place, where events tell.

        Raises:
            ValueError, KeyError, TypeError: it does, too.
        """
        if self._names.weights is not None:
            if not _are_numbers(events, len(results), 0.0):
                return None
            return {place: float(weight) for place, weight in enumerate(events) if weight}
        first = type(events[0])
        if first is dict:
            return self._from_objects(events, results, stays)
        if first not in (str, int) or set(map(type, events)) != {first}:
            return None
        return {results.index(event if first is str else str(event)): 1.0 for event in events}

    def _from_objects(
        self, events: list[Any], results: list[str], stays: dict[int, float | None]
    ) -> Mapping[int, float] | None:
        names = self._names
        weights: dict[int, float] = {}
        for event in events:
            if type(event) is not dict:
                return None
            item, kind, weight = event[names.event_item_id], event.get(names.event_type), event.get(names.event_weight)
            self._event_fields.saw(event)
            item = str(item) if type(item) is int else item
            if type(item) is not str or not (kind is None or type(kind) is str):
                return None
            if weight is None:
                weight = 1.0 if kind is None else self._by_type[kind]
                self._untyped_here += kind is None
            elif not _are_numbers([weight], 1, 0.0):
                return None
            place, stay = results.index(item), event.get(names.event_dwell)
            weights[place] = max(weights.get(place, 0.0), float(weight))
            if stay is not None:
                if not _are_numbers([stay], 1, 0.0):
                    return None
                stay = float(stay)
            if weight > 0:
                stays[place] = longer_stay(stays.get(place, -1.0), stay)
        return weights

    def finish_block(self) -> tuple[pa.RecordBatch, NDArray[np.int64], NDArray[np.int64]]:
        """The lines taken since the last block.

        Returns:
            (sessions as in INPUTS_SCHEMA, int64[sessions] their lines, int64[lines] lines that are for the careful way
            all the same: a result has no item, or stands twice).
        """
        numbers, offsets = np.array(self._numbers, dtype=np.int64), np.array(self._ends, dtype=np.int64)
        found = pc.index_in(pa.array(self._results, type=pa.string()), value_set=self._item_ids)
        rows = pc.fill_null(found, -1).to_numpy().astype(np.int32, copy=False)
        good = _known_and_distinct(rows, offsets)
        batch = self._batch(rows, offsets)
        self._event_fields.untyped += sum(count for place, count in self._untyped.items() if good[place])
        self._begin()
        if good.all():
            return batch, numbers, numbers[:0]
        return batch.filter(pa.array(good)), numbers[good], numbers[~good]

    def _batch(self, rows: NDArray[np.int32], offsets: NDArray[np.int64]) -> pa.RecordBatch:
        count = len(self._ids)
        events = np.zeros(len(rows), dtype=np.float32)
        events[np.array(self._event_places, dtype=np.int64)] = np.array(self._event_weights, dtype=np.float32)
        irrelevant = np.zeros(count, dtype=np.bool_)
        irrelevant[self._irrelevant] = True
        columns = {
            "session_id": pa.array(self._ids, type=pa.string()),
            "query": pa.array(self._queries, type=pa.string()),
            "results": list_column(offsets, rows, pa.int32()),
            "events": list_column(offsets, events, pa.float32()),
            # No timestamp is NaN, so that NaN can stand for none.
            "timestamp": pa.array(np.array(self._timestamps), type=pa.float64(), from_pandas=True),
            "is_irrelevant": pa.array(irrelevant),
        }
        if self._ranks:
            ranks = [self._ranks.get(place) for place in range(count)]
            columns["ranks"] = pa.array(ranks, type=pa.list_(pa.float32()))
        if self._dwells:
            columns["dwell"] = dwell_column(self._dwells, count)
        for name, texts in self._more.items():
            if texts:
                columns[name] = pa.array([texts.get(place) for place in range(count)], type=pa.string())
        arrays = [
            columns[field.name] if field.name in columns else pa.nulls(count, type=field.type)
            for field in INPUTS_SCHEMA
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=INPUTS_SCHEMA)


def _known_and_distinct(rows: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`bool[sessions]`: every result has an item, and none stands twice."""
    owners = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))
    good = np.ones(len(offsets) - 1, dtype=np.bool_)
    good[owners[rows < 0]] = False
    codes = np.sort((owners << 32) + rows)
    good[codes[1:][codes[1:] == codes[:-1]] >> 32] = False
    return good


def _are_numbers(values: Any, count: int, lowest: float) -> bool:
    """Whether this is a list of so many finite numbers, none below the lowest."""
    return (
        type(values) is list
        and len(values) == count
        and set(map(type, values)) <= {int, float}
        and min(values) >= lowest
        and min(values) > -_INFINITY
        and max(values) < _INFINITY
    )


def _text(value: Any) -> str | None:
    """A text, or a whole number as one.

    Raises:
        TypeError: it is anything else.
    """
    if value is None:
        return None
    if type(value) is str:
        return value.strip()
    if type(value) is int:
        return str(value)
    raise TypeError("not plain")


def _told(value: Any) -> str | None:
    """A text that is not blank, or a whole number as one.

    Raises:
        TypeError: it is anything else.
    """
    text = _text(value)
    if not text:
        raise TypeError("not plain")
    return text


def _seconds(timestamp: Any) -> float:
    """Seconds since the epoch of a number (see hft.moments.epoch_unit) or a full ISO 8601 time; one without a zone is
    taken as UTC; NaN for none.

    Raises:
        ValueError, OverflowError: it is anything else.
    """
    if timestamp is None:
        return np.nan
    if type(timestamp) is float or type(timestamp) is int:
        seconds = float(timestamp)
        if not -_INFINITY < seconds < _INFINITY:
            raise ValueError("not finite")
        return epoch_seconds(seconds)
    if type(timestamp) is str and _ISO.fullmatch(timestamp):
        moment = _MOMENT.validate_python(timestamp)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise ValueError("not plain")
