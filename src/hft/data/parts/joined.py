"""Logs whose results are parts of items, passages of documents for example: read as results that are the items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hft.data.arrow import list_column, list_offsets, list_values, one_array
from hft.data.identity import SourceIdentity, is_known
from hft.data.inputs import FineTuningInputs
from hft.data.items import ItemsSet
from hft.data.source import SessionSource, SourceData
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.item_lines import ItemRecord
    from hft.data.quarantine import Quarantine

_EMPTY_LINES = re.compile(r"\r?\n(?:[^\S\n]*\n)+")
TOO_FEW = "sessions with fewer than two results once parts of one item were one"


class JoinedParts:
    """Reads another source whose items are parts, and makes one item of all parts with the same beginning of the id.

    Parts of `manual#1` and `manual#2` are the item `manual`; its text is theirs, in the order of the source, with an
    empty line between and none within. In a session the item stands where its first part stood, and its event is the
    highest of its parts' (so are known grades). With data/item_splitter=separator the parts are the parts again that
    were logged.

    Args:
        source: of the sessions.
        separator: between the item's id and the part's; the last one in an id counts. An id without it is an item.
    """

    def __init__(self, source: SessionSource, separator: Annotated[str, Field(min_length=1)] = "#") -> None:
        self.source = source
        self.separator = separator

    def identity(self) -> SourceIdentity:
        """That of the source, and the separator.

        Raises:
            TypeError: nobody can tell what decides what the source gives.
        """
        if not is_known(self.source):
            raise TypeError(f"{type(self.source).__qualname__} does not say what decides what it gives")
        inner: SourceIdentity = self.source.identity()  # type: ignore[attr-defined]
        options = {"source": type(self.source).__qualname__, "inner": dict(inner.options), "separator": self.separator}
        return SourceIdentity(inner.files, options)

    def item_records(self, quarantine: Quarantine) -> Iterator[ItemRecord]:
        """The records of the parts, each with the id of its item; see `joined_text`.

        Raises:
            DataError: they cannot be had.
        """
        for record in self.source.item_records(quarantine):  # type: ignore[attr-defined]
            yield record._replace(item_id=owner_of(record.item_id, self.separator))

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read the source and join the parts.

        Raises:
            DataError: as the source does; or its lists are simulated after the split, so that it has no log of parts.
        """
        data = self.source.read(quarantine)
        if data.impressions is not None:
            raise DataError(
                f"data.source.source: {type(self.source).__name__} simulates the shown lists, so nothing was logged of "
                "parts. Expected a source with shown lists. Leave data.source.source out and split items with "
                "data/item_splitter."
            )
        owners, items = joined_items(data.items, self.separator)
        inputs = joined_inputs(data.inputs, owners, items)
        enough = np.diff(inputs.offsets) >= 2
        dropped = {**data.dropped, TOO_FEW: int((~enough).sum())}
        note = f"{len(data.items):,} parts read as {len(items):,} items"
        return replace(data, items=items, inputs=inputs.select(enough), dropped=dropped, notes=(*data.notes, note))


def joined_items(parts: ItemsSet, separator: str) -> tuple[NDArray[np.int32], ItemsSet]:
    """(int32[parts] the row of each part's item, the items): title and group are those of the first part."""
    row_of: dict[str, int] = {}
    texts: list[list[str]] = []
    firsts: list[int] = []
    owners = np.empty(len(parts), dtype=np.int32)
    for row, (part_id, text) in enumerate(zip(parts.ids, parts.texts, strict=True)):
        item_id = owner_of(part_id, separator)
        owner = row_of.setdefault(item_id, len(row_of))
        if owner == len(texts):
            texts.append([])
            firsts.append(row)
        texts[owner].append(text)
        owners[row] = owner
    titles, groups = ([values[row] for row in firsts] for values in (parts.titles, parts.groups))
    return owners, ItemsSet.from_columns(list(row_of), list(map(joined_text, texts)), titles, groups)


def owner_of(part_id: str, separator: str) -> str:
    """Id of the item that a part belongs to."""
    return part_id.rpartition(separator)[0] or part_id


def joined_text(parts: Sequence[str]) -> str:
    """The text of an item from those of its parts."""
    return "\n\n".join(map(_without_empty_lines, parts))


def _without_empty_lines(text: str) -> str:
    """So that an empty line is the end of a part."""
    return _EMPTY_LINES.sub("\n", text.strip())


def joined_inputs(inputs: FineTuningInputs, owners: NDArray[np.int32], items: ItemsSet) -> FineTuningInputs:
    """The sessions over items instead of parts; each item once, where its first part stood, with its parts' maximum."""
    results = _joined(inputs, "results", "events", owners)
    columns: dict[str, Any] = {
        "results": list_column(results.offsets, results.rows, pa.int32()),
        "events": list_column(results.offsets, results.highest, pa.float32()),
        "ranks": _first_ranks(inputs, results),
    }
    if inputs.is_cut or len(results.places) < len(inputs.flat_results):
        columns["positions"] = list_column(results.offsets, inputs.flat_positions[results.places], pa.int32())
    if not np.isnan(inputs.flat_dwell).all():
        columns["dwell"] = _longest_stays(inputs, results, owners)
    if inputs.is_judged.any():
        judged = _joined(inputs, "judged", "grades", owners)
        missing = ~inputs.is_judged
        columns["judged"] = list_column(judged.offsets, judged.rows, pa.int32(), missing)
        columns["grades"] = list_column(judged.offsets, judged.highest, pa.float32(), missing)
    table = inputs.table
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), column)
    return FineTuningInputs(table, items)


class _Joined:
    """Entries of ragged lists, one for each item: where they stood, and the highest value of the item's parts."""

    def __init__(self, offsets: NDArray[np.int64], rows: NDArray[np.int32], values: NDArray[np.float32]) -> None:
        sessions = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))
        codes = (sessions << 32) + rows
        order = np.argsort(codes, kind="stable")
        begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
        first = order[begins]  # the stable order keeps an item's parts as they stood
        back = np.argsort(first)
        highest = np.maximum.reduceat(values[order], begins) if len(begins) else values[:0]
        self.places = first[back]
        self.rows = rows[self.places]
        self.highest = highest[back]
        counts = np.bincount(sessions[self.places], minlength=len(offsets) - 1)
        self.offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _joined(inputs: FineTuningInputs, rows: str, values: str, owners: NDArray[np.int32]) -> _Joined:
    column = one_array(inputs.table.column(rows))
    weights = list_values(one_array(inputs.table.column(values)), np.float32)
    return _Joined(list_offsets(column), owners[list_values(column, np.int32)], weights)


def _longest_stays(inputs: FineTuningInputs, results: _Joined, owners: NDArray[np.int32]) -> pa.Array:
    """For each item the longest stay with one of its parts; null where nothing is known of it."""
    stays = np.nan_to_num(inputs.flat_dwell, nan=-1.0)
    longest = _Joined(inputs.offsets, owners[inputs.flat_results], stays).highest
    values = pa.array(longest, type=pa.float32(), mask=longest < 0)
    return pa.ListArray.from_arrays(pa.array(results.offsets.astype(np.int32)), values)


def _first_ranks(inputs: FineTuningInputs, results: _Joined) -> pa.Array:
    """The rank of each item's first part; null where a session has none."""
    column = one_array(inputs.table.column("ranks"))
    there = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=np.bool_)
    flat = np.zeros(len(inputs.flat_results), dtype=np.float32)
    flat[np.repeat(there, np.diff(inputs.offsets))] = list_values(column, np.float32)
    lengths = np.where(there, np.diff(results.offsets), 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    kept = flat[results.places][np.repeat(there, np.diff(results.offsets))]
    return list_column(offsets, kept, pa.float32(), ~there)
