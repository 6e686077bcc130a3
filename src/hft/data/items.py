"""The items that sessions show: an Arrow table, addressable by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITEMS_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("image", pa.struct([pa.field("path", pa.string()), pa.field("sha256", pa.string())])),
    ]
)


class ItemsSet:
    """Items in a fixed order; their row numbers are what sessions refer to.

    Args:
        table: columns as in ITEMS_SCHEMA; ids are distinct. `text` is the text as it will be embedded,
            `title` a short name for people and for the title baseline, `group` what a splitter may keep
            together, `image` the file of a picture and the SHA-256 of its bytes. Without a column `image` no item has
            one.

    Raises:
        ValueError: an id stands twice.
    """

    def __init__(self, table: pa.Table) -> None:
        if "image" not in table.column_names:
            table = table.append_column("image", pa.nulls(table.num_rows, ITEMS_SCHEMA.field("image").type))
        self.table = table.select(ITEMS_SCHEMA.names).cast(ITEMS_SCHEMA).combine_chunks()
        if pc.count_distinct(self.table.column("item_id")).as_py() != len(self):
            raise ValueError("item ids must be distinct")

    @classmethod
    def from_columns(
        cls,
        ids: Sequence[str],
        texts: Sequence[str],
        titles: Sequence[str | None] | None = None,
        groups: Sequence[str | None] | None = None,
        images: Sequence[Mapping[str, str] | None] | None = None,
    ) -> ItemsSet:
        """Items from plain columns of equal length."""
        nothing: list[None] = [None] * len(ids)
        columns: list[Sequence[Any]] = [ids, titles or nothing, texts, groups or nothing, images or nothing]
        arrays = [pa.array(list(column), type=field.type) for column, field in zip(columns, ITEMS_SCHEMA, strict=True)]
        return cls(pa.Table.from_arrays(arrays, schema=ITEMS_SCHEMA))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> list[str]:
        """Item ids, by row."""
        return list(self.table.column("item_id").to_pylist())

    @cached_property
    def texts(self) -> list[str]:
        """Texts as embedded, by row."""
        return list(self.table.column("text").to_pylist())

    @cached_property
    def titles(self) -> list[str | None]:
        """Titles, by row; None where the source gives none."""
        return list(self.table.column("title").to_pylist())

    @cached_property
    def groups(self) -> list[str | None]:
        """Groups, by row; None where the source gives none."""
        return list(self.table.column("group").to_pylist())

    @cached_property
    def image_paths(self) -> list[str | None]:
        """Files of the pictures, by row; None where an item has none."""
        return list(pc.struct_field(self.table.column("image"), "path").to_pylist())

    @cached_property
    def image_hashes(self) -> list[str | None]:
        """SHA-256 (hexadecimal) of the pictures' bytes, by row; None where an item has none."""
        return list(pc.struct_field(self.table.column("image"), "sha256").to_pylist())

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.ids)}

    def row_of(self, item_id: str) -> int:
        """Row of an id.

        Raises:
            KeyError: no item has this id.
        """
        return self._rows[item_id]

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    def subset(self, rows: Sequence[int] | NDArray[np.integer]) -> ItemsSet:
        """The items at these rows, in this order, numbered anew from 0."""
        return ItemsSet(self.table.take(pa.array(np.asarray(rows, dtype=np.int64))))
