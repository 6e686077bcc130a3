"""Records that are rows of values rather than lines: of Parquet files, of Arrow tables, of queries."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import PydanticSerializationError, to_json

from hft.data.plain_values import plain_value
from hft.data.records import Record, parse_lists
from hft.data.sources.stores import in_words
from hft.errors import DataError, HftError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine
    from hft.data.sources.record_files import RecordFile

_BATCH_ROWS = 4096
_PAGE_BYTES = 1 << 20
# What PyArrow raises where a value has no form in Python: bytes that are no text, a time before year 1, a zone that
# nobody knows.
_UNREADABLE = (OverflowError, ValueError, LookupError, pa.ArrowException)


def parquet_records(
    path: Path | RecordFile, list_fields: Collection[str], separator: str, quarantine: Quarantine
) -> Iterator[Record]:
    """The records of a Parquet file.

    Args:
        path: the file.
        list_fields: fields whose texts are lists.
        separator: between the entries of a list in a text.
        quarantine: where rows go that are no record.

    Raises:
        DataError: it cannot be read, or is damaged.
    """
    rows = RowRecords(str(path), list_fields, separator, quarantine)
    try:
        with ExitStack() as stack:
            opened = path if isinstance(path, Path) else stack.enter_context(path.open())
            # Page by page: a file may be one row group of gigabytes. A store is asked seldom, for whole columns.
            by_page = {"buffer_size": _PAGE_BYTES, "pre_buffer": False} if isinstance(path, Path) else {}
            file = stack.enter_context(pq.ParquetFile(opened, **by_page))
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from rows.of_batch(batch)
    except HftError:
        raise
    except Exception as error:
        if not isinstance(path, Path) and not isinstance(error, pa.ArrowException):
            raise DataError(in_words(str(path), str(path), error)) from None
        if not isinstance(error, (pa.ArrowException, OSError, EOFError)):
            raise
        raise DataError(
            f"{path}: cannot be read as Parquet after row {rows.number}: {str(error).rstrip('.')}. Write it anew."
        ) from error


class RowRecords:
    """Makes records of rows that have values rather than lines, numbered from 1.

    Args:
        place: where they stand, for the quarantine.
        list_fields: fields whose texts are lists.
        separator: between the entries of a list in a text.
        quarantine: where rows go that are no record.

    Attributes:
        number: of the last row.
    """

    def __init__(self, place: str, list_fields: Collection[str], separator: str, quarantine: Quarantine) -> None:
        self._place = place
        self._list_fields = list_fields
        self._separator = separator
        self._quarantine = quarantine
        self.number = 0

    def of_batch(self, batch: pa.RecordBatch) -> Iterator[Record]:
        """The records of a batch of rows.

        Raises:
            DataError: two columns have one name, or whole numbers stand as floats that are too narrow for them.
        """
        names = batch.schema.names
        if len(set(names)) < len(names):
            raise DataError(two_columns_message(self._place, names))
        for name, column in zip(names, batch.columns, strict=True):
            _require_wide_enough(self._place, name, column)
        for fields in _rows(batch):
            if isinstance(fields, _Unreadable):
                self._set_aside(fields)
                continue
            record = self.of_row(fields)
            if record is not None:
                yield record

    def of_row(self, fields: dict[str, Any]) -> Record | None:
        """The record of the next row, or None where it was set aside; null, and NaN (pandas' null), is a field that
        is not there.

        Args:
            fields: its values by name.
        """
        problem = parse_lists(fields, self._list_fields, self._separator)
        if problem is not None:
            self._set_aside(_Unreadable(problem, fields))
            return None
        self.number += 1
        present = {name: value for name, value in fields.items() if value is not None and value == value}
        if not self._list_fields:  # of items, whose texts are made of the values as they are, but of no bytes
            present = {name: plain_value(value) if _may_be_bytes(value) else value for name, value in present.items()}
        else:
            present = {name: plain_value(value) for name, value in present.items()}
        present |= {name: [] for name in self._list_fields if name in fields and name not in present}
        # With its JSON a session may take the short way.
        return Record(self.number, as_line(present) if self._list_fields else None, present)

    def _set_aside(self, row: _Unreadable) -> None:
        self.number += 1
        self._quarantine.saw(self._place)
        self._quarantine.add(self._place, self.number, row.problem, json.dumps(row.fields, default=str))


def _require_wide_enough(place: str, name: str, column: pa.Array) -> None:
    """Refuses narrow floats that are whole numbers beyond their digits: ids or times, of which neighbours are one."""
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = column.flatten()
    skip_from = 2.0**24 if pa.types.is_float32(column.type) else 2.0**11 if pa.types.is_float16(column.type) else None
    if skip_from is None:
        return
    values = column.drop_null().to_numpy(zero_copy_only=False)
    values = values[np.isfinite(values)]
    if values.size and (values == np.floor(values)).all() and np.abs(values).max() >= skip_from:
        raise DataError(
            f"{place}: column {name!r} has whole numbers of {skip_from:,.0f} and more as {column.type}: their last "
            "digits are lost. Write it anew as whole numbers or texts, or leave it out."
        )


def _may_be_bytes(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview) or (
        isinstance(value, list) and any(isinstance(entry, bytes) for entry in value)
    )


def two_columns_message(place: str, names: Sequence[str]) -> str:
    """What to say of columns of one name: which of them is meant nobody knows."""
    twice = next(name for name in names if names.count(name) > 1)
    return f"{place}: two columns are called {twice!r}. Name one of them otherwise, or leave it out."


class _Unreadable(NamedTuple):
    """A row that is no record.

    Args:
        problem: what is wrong with it.
        fields: those of its values that can be read, by name.
    """

    problem: str
    fields: dict[str, Any]


def as_line(fields: dict[str, Any]) -> bytes | None:
    """Fields as a line of JSON; None where a value has no such form."""
    try:
        return to_json(fields)
    except (PydanticSerializationError, ValueError):
        return None


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | _Unreadable]:
    """The rows of a batch; one bad value costs its own row only."""
    try:
        rows = batch.to_pylist()
    except _UNREADABLE:
        if batch.num_rows == 1:
            yield _unreadable(batch)
            return
        half = batch.num_rows // 2
        yield from _rows(batch.slice(0, half))
        yield from _rows(batch.slice(half))
        return
    yield from rows


def _unreadable(row: pa.RecordBatch) -> _Unreadable:
    """What is wrong with a row that has a value without a form in Python."""
    fields, problem = {}, ""
    for field, column in zip(row.schema, row.columns, strict=True):
        try:
            fields[field.name] = column[0].as_py()
        except UnicodeDecodeError:
            problem = problem or "not UTF-8"
        except _UNREADABLE as error:
            problem = problem or f"field {field.name!r}: this {field.type} cannot be read ({error})"
    return _Unreadable(problem or "a value that cannot be read", fields)
