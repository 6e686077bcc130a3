"""Sessions made ready for fine-tuning: one by one as FineTuningInput, together as Arrow columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hft.data.arrow import list_column, list_offsets, list_values, one_array
from hft.data.coded_queries import CodedQueries
from hft.data.inputs_schema import INPUTS_SCHEMA, FineTuningInput
from hft.data.labels import Labels, any_positive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.items import ItemsSet

__all__ = ["INPUTS_SCHEMA", "FineTuningInput", "FineTuningInputs", "Labels", "any_positive"]


class FineTuningInputs:
    """Sessions as Arrow columns, with their ragged lists as flat NumPy arrays.

    `offsets[i]:offsets[i+1]` are the results of session i in `flat_results` (rows of the items) and
    `flat_events` (weights); `judgement_offsets` does the same for `flat_judged` and `flat_grades`, where a
    session without known relevance is empty.

    Args:
        table: columns as in INPUTS_SCHEMA.
        items: the items that `results` and `judged` refer to by row.

    Raises:
        ValueError: results and events, or judged and grades, differ in length.
    """

    def __init__(self, table: pa.Table, items: ItemsSet) -> None:
        self.table = table.select(INPUTS_SCHEMA.names).cast(INPUTS_SCHEMA).combine_chunks()
        self.items = items
        for first, second in (("results", "events"), ("judged", "grades")):
            if not np.array_equal(list_offsets(self._column(first)), list_offsets(self._column(second))):
                raise ValueError(f"{first} and {second} of a session must have the same length")

    @classmethod
    def from_columns(
        cls,
        items: ItemsSet,
        session_ids: Sequence[str],
        queries: Sequence[str],
        *,
        offsets: NDArray[np.int64],
        results: NDArray[np.int32],
        events: NDArray[np.float32],
        judgements: Labels | None = None,
        **optional: Any,
    ) -> FineTuningInputs:
        """Sessions from plain columns.

        Args:
            items: the items referred to.
            session_ids: one a session.
            queries: one a session.
            offsets: `int64[sessions+1]`.
            results: `int32[results]` rows of the items.
            events: `float32[results]` weights.
            judgements: known relevance, where the source has it; a session without any label counts as
                unknown.
            optional: further columns of INPUTS_SCHEMA by name, each a sequence with one entry a session.
        """
        count = len(session_ids)
        columns: dict[str, Any] = {
            "session_id": list(session_ids),
            "query": list(queries),
            "results": list_column(offsets, results, pa.int32()),
            "events": list_column(offsets, events, pa.float32()),
            "is_irrelevant": [False] * count,
        }
        if judgements is not None:
            missing = np.diff(judgements.offsets) == 0
            columns["judged"] = list_column(judgements.offsets, judgements.rows, pa.int32(), missing)
            columns["grades"] = list_column(judgements.offsets, judgements.grades, pa.float32(), missing)
        columns.update({name: column for name, column in optional.items() if column is not None})
        arrays = []
        for field in INPUTS_SCHEMA:
            column = columns.get(field.name)
            if column is None:
                arrays.append(pa.nulls(count, type=field.type))
            else:
                arrays.append(column if isinstance(column, pa.Array) else pa.array(column, type=field.type))
        return cls(pa.Table.from_arrays(arrays, schema=INPUTS_SCHEMA), items)

    def _column(self, name: str) -> pa.Array:
        return one_array(self.table.column(name))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, row: int) -> FineTuningInput:
        if not -len(self) <= row < len(self):
            raise IndexError(f"session {row} of {len(self)}")
        values = self.table.slice(row % len(self), 1).to_pylist()[0]
        ids = self.items.ids
        return FineTuningInput(
            session_id=values["session_id"],
            query=values["query"],
            results=tuple(ids[result] for result in values["results"]),
            events=tuple(values["events"]),
            ranks=None if values["ranks"] is None else tuple(values["ranks"]),
            timestamp=values["timestamp"],
            is_irrelevant=values["is_irrelevant"],
            batch_id=values["batch_id"],
            user_id=values["user_id"],
            sort_by=values["sort_by"],
            dwell=None if values["dwell"] is None else tuple(values["dwell"]),
            weight=1.0 if values["weight"] is None else values["weight"],
        )

    def __iter__(self) -> Iterator[FineTuningInput]:
        return (self[row] for row in range(len(self)))

    def select(self, rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> FineTuningInputs:
        """The sessions at these rows in this order (or where a `bool[sessions]` mask is set), with the same
        items."""
        chosen = np.asarray(rows)
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64)
        if len(chosen) == len(self) and np.array_equal(chosen, np.arange(len(self))):
            return self
        found = FineTuningInputs(self.table.take(pa.array(chosen)), self.items)
        found.__dict__["coded_queries"] = self.coded_queries.take(chosen)
        return found

    def replace(self, **columns: Any) -> FineTuningInputs:
        """The same sessions with some columns of INPUTS_SCHEMA replaced (Arrow arrays or sequences)."""
        table = self.table
        for name, column in columns.items():
            field = INPUTS_SCHEMA.field(name)
            array = column if isinstance(column, pa.Array) else pa.array(column, type=field.type)
            table = table.set_column(table.schema.get_field_index(name), field, array)
        found = FineTuningInputs(table, self.items)
        if "query" not in columns and "coded_queries" in self.__dict__:
            found.__dict__["coded_queries"] = self.coded_queries
        return found

    def with_events(self, events: NDArray[np.float32]) -> FineTuningInputs:
        """The same sessions with other weights of events, `float32[results]`."""
        return self.replace(events=list_column(self.offsets, events, pa.float32()))

    @cached_property
    def session_ids(self) -> list[str]:
        """The source's ids of the sessions."""
        return list(self.table.column("session_id").to_pylist())

    @cached_property
    def coded_queries(self) -> CodedQueries:
        """Queries, one a session, as numbers into their distinct texts, which parts of these sessions share."""
        return CodedQueries.of(self.table.column("query"))

    @cached_property
    def queries(self) -> list[str]:
        """Queries, one a session (repeated where sessions share one)."""
        return self.coded_queries.texts()

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """`int64[sessions+1]` into flat_results and flat_events."""
        return list_offsets(self._column("results"))

    @cached_property
    def flat_results(self) -> NDArray[np.int32]:
        """`int32[results]` rows of the items shown, session after session."""
        return list_values(self._column("results"), np.int32)

    @cached_property
    def flat_events(self) -> NDArray[np.float32]:
        """`float32[results]` weight of the events on each result, 0 where there was none."""
        return list_values(self._column("events"), np.float32)

    @cached_property
    def is_irrelevant(self) -> NDArray[np.bool_]:
        """`bool[sessions]`: flagged as irrelevant."""
        return np.asarray(self._column("is_irrelevant").to_numpy(zero_copy_only=False), dtype=np.bool_)

    @cached_property
    def is_flagged(self) -> NDArray[np.bool_]:
        """`bool[sessions]`: flagged as irrelevant by the source; not those that are so for want of an event."""
        unclicked = pc.fill_null(self._column("irrelevant_unclicked"), False)
        return np.asarray(self.is_irrelevant & ~unclicked.to_numpy(zero_copy_only=False), dtype=np.bool_)

    @cached_property
    def flat_positions(self) -> NDArray[np.int32]:
        """`int32[results]`: where each stood in the list as it was shown, from 0 at the top. A list that was cut since
        (to the items of its split) says where its results stood before."""
        places = np.arange(len(self.flat_results), dtype=np.int32)
        places -= np.repeat(self.offsets[:-1].astype(np.int32), np.diff(self.offsets))
        column = self._column("positions")
        if column.null_count < len(self):
            known = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=np.bool_)
            places[np.repeat(known, np.diff(self.offsets))] = list_values(column, np.int32)
        return places

    @property
    def is_cut(self) -> bool:
        """Whether some list says that it is not what was shown."""
        return bool(self.table.column("positions").null_count < len(self))

    @cached_property
    def flat_dwell(self) -> NDArray[np.float32]:
        """`float32[results]` seconds that the user stayed with each result; NaN where nothing is known of it."""
        column = self._column("dwell")
        found = np.full(len(self.flat_results), np.nan, dtype=np.float32)
        if column.null_count < len(self):
            known = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=np.bool_)
            found[np.repeat(known, np.diff(self.offsets))] = list_values(column, np.float32)
        return found

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """`float32[sessions]`: how much each counts in training, above 0, at most 1."""
        return np.asarray(pc.fill_null(self._column("weight"), 1.0).to_numpy(zero_copy_only=False), dtype=np.float32)

    @property
    def is_weighted(self) -> bool:
        """Whether some session says how much it counts."""
        return bool(self.table.column("weight").null_count < len(self))

    @cached_property
    def timestamps(self) -> NDArray[np.float64]:
        """`float64[sessions]` seconds since the epoch; NaN where they are not known."""
        return np.asarray(self._column("timestamp").to_numpy(zero_copy_only=False), dtype=np.float64)

    @cached_property
    def user_numbers(self) -> NDArray[np.int64]:
        """`int64[sessions]`: equal numbers from 0 for sessions of one user; -1 where the user is not known."""
        coded = self._column("user_id").dictionary_encode()
        return np.asarray(pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)

    @cached_property
    def events_of_sessions(self) -> NDArray[np.int64]:
        """`int64[sessions]`: how many results of each session have an event."""
        total = np.concatenate([[0], np.cumsum(self.flat_events > 0)])
        return np.asarray(total[self.offsets[1:]] - total[self.offsets[:-1]], dtype=np.int64)

    @cached_property
    def judgement_offsets(self) -> NDArray[np.int64]:
        """`int64[sessions+1]` into flat_judged and flat_grades."""
        return list_offsets(self._column("judged"))

    @cached_property
    def flat_judged(self) -> NDArray[np.int32]:
        """`int32[labels]` rows of the items whose relevance is known."""
        return list_values(self._column("judged"), np.int32)

    @cached_property
    def flat_grades(self) -> NDArray[np.float32]:
        """`float32[labels]` known relevance."""
        return list_values(self._column("grades"), np.float32)

    @cached_property
    def has_event(self) -> NDArray[np.bool_]:
        """`bool[sessions]`: some result has an event."""
        return any_positive(self.flat_events, self.offsets)

    @cached_property
    def has_positive_grade(self) -> NDArray[np.bool_]:
        """`bool[sessions]`: some item is known to be relevant."""
        return any_positive(self.flat_grades, self.judgement_offsets)

    @cached_property
    def is_judged(self) -> NDArray[np.bool_]:
        """`bool[sessions]`: relevance is known from elsewhere than the events."""
        return np.asarray(pc.is_valid(self._column("judged")).to_numpy(zero_copy_only=False), dtype=np.bool_)

    def labels(self) -> Labels:
        """What evaluation takes as relevant: the known relevance of a session, else the events on its
        results."""
        if not self.is_judged.any():
            return Labels(self.offsets, self.flat_results, self.flat_events)
        judged, shown = self.judgement_offsets, self.offsets
        lengths = np.where(self.is_judged, np.diff(judged), np.diff(shown))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = np.where(self.is_judged, judged[:-1], shown[:-1] + len(self.flat_judged))
        places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Labels(
            offsets,
            np.concatenate([self.flat_judged, self.flat_results])[places],
            np.concatenate([self.flat_grades, self.flat_events])[places],
        )

    def shown_gains(self) -> NDArray[np.float32]:
        """`float32[results]`: the grade of each shown result by `labels()`; 0 for a result without a
        label."""
        if not self.is_judged.any():
            return self.flat_events
        judged = np.repeat(self.is_judged, np.diff(self.offsets))
        stride = np.int64(max(len(self.items), 1))
        sessions = np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.judgement_offsets))
        keys = sessions * stride + self.flat_judged
        order = np.argsort(keys, kind="stable")
        wanted = np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets)) * stride + self.flat_results
        if len(keys) == 0:
            known = np.zeros(len(wanted), dtype=np.float32)
        else:
            places = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
            found = keys[order][places] == wanted
            known = np.where(found, self.flat_grades[order][places], np.float32(0.0))
        return np.where(judged, known, self.flat_events).astype(np.float32)
