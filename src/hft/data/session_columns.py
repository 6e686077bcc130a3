"""Columns of sessions that grow while a file is read: a block at a time becomes Arrow, so that millions of sessions
never stand as Python objects at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hft.data.arrow import list_column
from hft.data.inputs import INPUTS_SCHEMA, FineTuningInputs
from hft.data.items import ItemsSet
from hft.data.ragged import RaggedPairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Sessions that stand as Python objects at once.
BLOCK_SESSIONS = 32_768
# Columns that tell one user, order or program from another: a blank tells nothing.
TOLD_TEXTS = ("user_id", "sort_by", "user_agent")
OPTIONAL_TEXTS = ("batch_id", "group", "split", *TOLD_TEXTS)


class SessionColumns:
    """Sessions kept as flat columns.

    Args:
        items: the items that sessions show.
        block: sessions of a block.
    """

    def __init__(self, items: ItemsSet, block: int = BLOCK_SESSIONS) -> None:
        self._items = items
        self._block = block
        self._batches: list[pa.RecordBatch] = []
        self._begin()

    def _begin(self) -> None:
        self._ids: list[str] = []
        self._queries: list[str] = []
        self._shown = RaggedPairs()
        self._ranks = RaggedPairs()
        self._timestamps = array("d")
        self._is_irrelevant = array("b")
        self._texts: dict[str, list[str | None]] = {name: [] for name in OPTIONAL_TEXTS}
        # Most logs have none: by the session's place in the block.
        self._dwells: dict[int, list[float | None]] = {}
        self._positions: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return sum(len(batch) for batch in self._batches) + len(self._ids)

    @property
    def waiting(self) -> int:
        """Sessions appended since the last block."""
        return len(self._ids)

    def append(
        self,
        session_id: str,
        query: str,
        rows: list[int],
        weights: Iterable[float],
        ranks: Iterable[float] | None,
        seconds: float | None,
        is_irrelevant: bool,
        batch_id: str | None,
        group: str | None,
        split: str | None,
        user_id: str | None = None,
        sort_by: str | None = None,
        user_agent: str | None = None,
        dwell: list[float | None] | None = None,
        positions: list[int] | None = None,
    ) -> None:
        """Add a session: its id, query, rows of the items shown, weights of the events on them, their ranks, seconds
        since the epoch, and so on; `dwell` has the seconds that the user stayed with each result; `positions` where
        each stood in the list as it was shown, from 0, where results were left out of it."""
        if positions is not None:
            self._positions[len(self._ids)] = positions
        if dwell is not None:
            self._dwells[len(self._ids)] = dwell
        self._ids.append(session_id)
        self._queries.append(query)
        self._shown.append(rows, weights)
        self._ranks.append(() if ranks is None else rows, () if ranks is None else ranks)
        self._timestamps.append(np.nan if seconds is None else seconds)
        self._is_irrelevant.append(is_irrelevant)
        texts = (batch_id, group, split, user_id, sort_by, user_agent)
        for name, text in zip(OPTIONAL_TEXTS, texts, strict=True):
            self._texts[name].append(text)
        if len(self._ids) == self._block:
            self.add(self.finish_block())

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add sessions that are columns already, as in INPUTS_SCHEMA. What was appended before comes before them."""
        if self._ids:
            self._batches += [self.finish_block()]
        self._batches += batch.to_batches() if isinstance(batch, pa.Table) else [batch]

    def finish_block(self) -> pa.RecordBatch:
        """Take out what was appended since the last block, as in INPUTS_SCHEMA."""
        shown, ranks = self._shown, self._ranks
        columns = {
            "session_id": pa.array(self._ids, type=pa.string()),
            "query": pa.array(self._queries, type=pa.string()),
            "results": list_column(shown.offsets, shown.rows, pa.int32()),
            "events": list_column(shown.offsets, shown.weights, pa.float32()),
            "ranks": list_column(ranks.offsets, ranks.weights, pa.float32(), np.diff(ranks.offsets) == 0),
            # No timestamp is NaN, so that NaN can stand for none.
            "timestamp": pa.array(np.array(self._timestamps), type=pa.float64(), from_pandas=True),
            "is_irrelevant": pa.array(np.array(self._is_irrelevant, dtype=np.bool_)),
            **{name: pa.array(column, type=pa.string()) for name, column in self._texts.items()},
        }
        if self._dwells:
            columns["dwell"] = dwell_column(self._dwells, len(self._ids))
        if self._positions:
            stood = [self._positions.get(place) for place in range(len(self._ids))]
            columns["positions"] = pa.array(stood, type=pa.list_(pa.int32()))
        arrays = [columns.get(field.name, pa.nulls(len(self._ids), type=field.type)) for field in INPUTS_SCHEMA]
        batch = pa.RecordBatch.from_arrays(arrays, schema=INPUTS_SCHEMA)
        self._begin()
        return batch

    def finish(self) -> FineTuningInputs:
        """The sessions."""
        if self._ids:
            self._batches.append(self.finish_block())
        table = pa.Table.from_batches(self._batches, schema=INPUTS_SCHEMA)
        self._batches = []
        return FineTuningInputs(table, self._items)


def dwell_column(dwells: Mapping[int, Sequence[float | None]], count: int) -> pa.Array:
    """The column `dwell` of INPUTS_SCHEMA from the seconds for each result, by the session's place among so many."""
    return pa.array([dwells.get(place) for place in range(count)], type=pa.list_(pa.float32()))


def in_order(
    first: pa.RecordBatch, first_lines: NDArray[np.int64], second: pa.RecordBatch, second_lines: Sequence[int]
) -> pa.Table:
    """The sessions of two batches in the order of their lines.

    Args:
        first, second: sessions as in INPUTS_SCHEMA.
        first_lines, second_lines: the line of each.
    """
    order = np.argsort(np.concatenate([first_lines, np.array(second_lines, dtype=np.int64)]), kind="stable")
    return pa.Table.from_batches([first, second]).take(pa.array(order))
