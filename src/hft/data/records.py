"""Records of JSONL, CSV and Parquet files, one by one, with their line numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import PydanticSerializationError, from_json, to_json

from hft.data.sources.stores import in_words
from hft.data.text_lines import decoded, is_gzipped, numbered_lines, without_gz
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine
    from hft.data.sources.record_files import RecordFile

JSON_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")

_BATCH_ROWS = 4096
_DELIMITERS = (";", "\t", ",", "|")
_LONGEST_CELL = 2**31 - 1


class Record(NamedTuple):
    """One record of a file.

    Args:
        number: its line (in Parquet its row), from 1.
        line: the line as it stands, or a row as JSON; None where there is none.
        fields: its values by name; None where the line is JSON yet to be parsed.
    """

    number: int
    line: bytes | str | None
    fields: dict[str, Any] | None

    @property
    def raw(self) -> bytes | str:
        """The line, or its values as JSON."""
        return json.dumps(self.fields, default=str) if self.line is None else self.line


class Place(Protocol):
    """Where records stand: a file, the rows of a query. As a text it is what messages call it."""

    @property
    def name(self) -> str:
        """What ids are made of where records have none."""
        ...


@dataclass(frozen=True)
class NamedPlace:
    """A place that is no file of its own.

    Args:
        name: what ids are made of.
        told: what messages call it.
    """

    name: str
    told: str

    def __str__(self) -> str:
        return self.told


class Records(NamedTuple):
    """The records of one place.

    Args:
        place: where they stand.
        read: starts to read them; raises DataError where that cannot be done.
    """

    place: Place
    read: Callable[[], Iterator[Record]]


@dataclass(frozen=True)
class CellFormat:
    """How lists stand in the cells of a table.

    Args:
        separator: between the entries of a list; a cell that begins with [ is JSON instead.
        delimiter: between the cells of a CSV line (a .tsv file has tabs).
    """

    separator: str = "|"
    delimiter: str = ","


def read_records(
    path: Path | RecordFile, key: str, list_fields: Collection[str], cells: CellFormat, quarantine: Quarantine
) -> Iterator[Record]:
    """The records of a file, its format told by the suffix.

    Args:
        path: .jsonl, .ndjson, .csv, .tsv (each also with .gz) or .parquet.
        key: config key that names the file.
        list_fields: fields of tables whose text cells are lists.
        cells: how lists stand in them.
        quarantine: where lines go that are no record.

    Raises:
        DataError: there is no such file, its format is unknown, or it is damaged.
    """
    if isinstance(path, Path) and not path.is_file():
        raise DataError(f"{key}: {path} is not a file. Check the path (a relative one starts at {Path.cwd()}).")
    suffix = without_gz(path)
    if suffix in JSON_SUFFIXES:
        return (Record(number, line, None) for number, line in numbered_lines(path))
    if suffix in TABLE_SUFFIXES:
        delimiter = "\t" if suffix == ".tsv" else cells.delimiter
        return _table_records(path, delimiter, list_fields, cells.separator, quarantine)
    if suffix in PARQUET_SUFFIXES and not is_gzipped(path):
        return _parquet_records(path, list_fields, cells.separator, quarantine)
    known = ", ".join([*JSON_SUFFIXES, *TABLE_SUFFIXES, ".parquet"])
    raise DataError(f"{key}: {path} has a suffix that tells no known format. Expected: {known} (text also .gz).")


def is_known_format(name: str) -> bool:
    """Whether the name of a file has a suffix that read_records knows."""
    suffix = PurePosixPath(name.lower()).suffix
    if suffix == ".gz":
        return PurePosixPath(name.lower().removesuffix(".gz")).suffix in (*JSON_SUFFIXES, *TABLE_SUFFIXES)
    return suffix in (*JSON_SUFFIXES, *TABLE_SUFFIXES, *PARQUET_SUFFIXES)


class _Lines:
    """Decoded lines for the csv reader, which remembers what a record was made of."""

    def __init__(self, path: Path | RecordFile, quarantine: Quarantine) -> None:
        self._path = str(path)
        self._numbered = numbered_lines(path)
        self._quarantine = quarantine
        self.taken: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[str]:
        for number, line in self._numbered:
            text = decoded(line)
            if text is None:
                self._quarantine.saw(self._path)
                self._quarantine.add(self._path, number, "not UTF-8", line)
                continue
            self.taken.append((number, text))
            yield text + "\n"


def _table_records(
    path: Path | RecordFile, delimiter: str, list_fields: Collection[str], separator: str, quarantine: Quarantine
) -> Iterator[Record]:
    csv.field_size_limit(_LONGEST_CELL)
    lines = _Lines(path, quarantine)
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        lines.taken.clear()
        problem, row = None, []
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"malformed CSV: {error}"
        number = lines.taken[0][0] if lines.taken else 0
        raw = "\n".join(text for _, text in lines.taken)
        if header is None and problem is None:
            header = [name.strip() for name in row]
            _check_delimiter(path, header, delimiter)
            continue
        fields: dict[str, Any] = {}
        if problem is None and len(row) != len(header or ()):
            problem = f"{len(row)} cells where the header has {len(header or ())}"
        if problem is None:
            fields = {name: cell for name, cell in zip(header or (), row, strict=True) if cell.strip()}
            fields |= {name: [] for name in list_fields if name in (header or ()) and name not in fields}
            problem = _parse_lists(fields, list_fields, separator)
        if problem is None:
            yield Record(number, raw, fields)
            continue
        # Line by line: an open quote can swallow thousands, and each of them is lost.
        for lost, text in lines.taken:
            quarantine.saw(str(path))
            quarantine.add(str(path), lost, problem, text)


def _check_delimiter(path: Path | RecordFile, header: list[str], delimiter: str) -> None:
    """A header of one cell that holds another usual delimiter was not split.

    Raises:
        DataError: names the delimiter that it seems to be.
    """
    other = next((mark for mark in _DELIMITERS if mark != delimiter and mark in header[0]), None)
    if len(header) != 1 or other is None:
        return
    advice = f"Set \"data.source.csv_delimiter='{other}'\" (with these quotes)."
    if without_gz(path) == ".tsv":
        advice = f"Name the file .csv, and set \"data.source.csv_delimiter='{other}'\" (with these quotes)."
    if other == "\t":
        advice = "Name the file .tsv."
    raise DataError(
        f"{path}: the separator between cells looks wrong: the header, split at {delimiter!r}, is the one cell "
        f"{header[0]!r}, which has {other!r} in it. {advice}"
    )


def _parquet_records(
    path: Path | RecordFile, list_fields: Collection[str], separator: str, quarantine: Quarantine
) -> Iterator[Record]:
    rows = RowRecords(str(path), list_fields, separator, quarantine)
    try:
        with ExitStack() as stack:
            opened = path if isinstance(path, Path) else stack.enter_context(path.open())
            file = stack.enter_context(pq.ParquetFile(opened))
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from rows.of_batch(batch)
    except DataError:
        raise
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        if not isinstance(path, Path) and not isinstance(error, pa.ArrowInvalid):
            raise DataError(in_words(str(path), str(path), error)) from None
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
        """The records of a batch of rows."""
        for fields in _rows(batch):
            record = self.of_row(fields)
            if record is not None:
                yield record

    def of_row(self, fields: dict[str, Any] | None) -> Record | None:
        """The record of the next row, or None where it was set aside; null is a field that is not there.

        Args:
            fields: its values by name; None where they are not UTF-8.
        """
        self.number += 1
        problem = "not UTF-8" if fields is None else _parse_lists(fields, self._list_fields, self._separator)
        if fields is None or problem is not None:
            self._quarantine.saw(self._place)
            self._quarantine.add(self._place, self.number, problem or "", json.dumps(fields, default=str))
            return None
        present = {name: value for name, value in fields.items() if value is not None}
        present |= {name: [] for name in self._list_fields if name in fields and name not in present}
        # With its JSON a session may take the short way.
        return Record(self.number, as_line(present) if self._list_fields else None, present)


def as_line(fields: dict[str, Any]) -> bytes | None:
    """Fields as a line of JSON; None where a value has no such form."""
    try:
        return to_json(fields)
    except (PydanticSerializationError, ValueError):
        return None


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any] | None]:
    """The rows of a batch; None for one with bytes that are not UTF-8."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            return [None]
        return [row for number in range(batch.num_rows) for row in _rows(batch.slice(number, 1))]


def _parse_lists(fields: dict[str, Any], list_fields: Collection[str], separator: str) -> str | None:
    """Turn text cells into lists, in place; what is wrong, or None."""
    for name in list_fields:
        cell = fields.get(name)
        if not isinstance(cell, str):
            continue
        if cell.lstrip().startswith("["):
            try:
                fields[name] = from_json(cell)
            except ValueError:
                return f"field {name!r}: malformed JSON in the cell"
        else:
            fields[name] = [entry.strip() for entry in cell.split(separator) if entry.strip()]
    return None
