"""Texts of megabytes: what is longer than data.max_text_length is cut, and counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hft.data.items import ItemsSet

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine
    from hft.data.source import SourceData

# Of a text in characters: a hundred times what most models read of one.
MAX_TEXT_LENGTH = 100_000
QUERIES, ITEM_TEXTS = "queries", "texts of items"


def within_length(data: SourceData, quarantine: Quarantine, place: str) -> SourceData:
    """The data of a source with what is still too long cut, for sources that read no files of records line by line.

    Args:
        data: as the source gives it.
        quarantine: knows the longest length, and is told what was cut.
        place: what messages call the source.
    """
    items, inputs = data.items, data.inputs
    table = items.table
    for name, what in (("title", ITEM_TEXTS), ("text", ITEM_TEXTS)):
        column = _cut(table.column(name), what, quarantine, place)
        if column is not None:
            table = table.set_column(table.column_names.index(name), name, column)
    queries = _cut(inputs.table.column("query"), QUERIES, quarantine, place)
    if queries is not None:
        inputs = inputs.replace(query=queries.combine_chunks())
    if table is not items.table:
        items = ItemsSet(table)
        inputs = type(inputs)(inputs.table, items)
    return replace(data, items=items, inputs=inputs)


def _cut(column: pa.ChunkedArray, what: str, quarantine: Quarantine, place: str) -> pa.ChunkedArray | None:
    """The column with long texts cut; None where there is none."""
    longest = quarantine.max_text_length
    lengths = pc.fill_null(pc.utf8_length(column), 0).to_numpy()
    if longest is None or not (lengths > longest).any():
        return None
    for row in np.flatnonzero(lengths > longest).tolist():
        quarantine.cut(str(column[row].as_py()), what, place, row + 1)
    return pc.utf8_slice_codeunits(column, 0, longest)
