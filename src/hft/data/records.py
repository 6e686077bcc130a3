"""Records of JSONL, CSV and Parquet files, one by one, with their line numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json

from hft.data.text_lines import decoded, numbered_lines, without_gz
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine

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
        line: the line as it stands; None where there is none (Parquet).
        fields: its values by name; None where the line is JSON yet to be parsed.
    """

    number: int
    line: bytes | str | None
    fields: dict[str, Any] | None

    @property
    def raw(self) -> bytes | str:
        """The line, or its values as JSON."""
        return json.dumps(self.fields, default=str) if self.line is None else self.line


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
    path: Path, key: str, list_fields: Collection[str], cells: CellFormat, quarantine: Quarantine
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
    if path.is_dir():
        raise DataError(f"{key}: {path} is a folder, not a file. Name the file in it.")
    if not path.is_file():
        raise DataError(f"{key}: {path} is not a file. Check the path (a relative one starts at {Path.cwd()}).")
    suffix = without_gz(path)
    if suffix in JSON_SUFFIXES:
        return (Record(number, line, None) for number, line in numbered_lines(path))
    if suffix in TABLE_SUFFIXES:
        delimiter = "\t" if suffix == ".tsv" else cells.delimiter
        return _table_records(path, delimiter, list_fields, cells.separator, quarantine)
    if suffix in PARQUET_SUFFIXES and path.suffix.lower() != ".gz":
        return _parquet_records(path, list_fields, cells.separator, quarantine)
    known = ", ".join([*JSON_SUFFIXES, *TABLE_SUFFIXES, ".parquet"])
    raise DataError(f"{key}: {path} has a suffix that tells no known format. Expected: {known} (text also .gz).")


class _Lines:
    """Decoded lines for the csv reader, which remembers what a record was made of."""

    def __init__(self, path: Path, quarantine: Quarantine) -> None:
        self._path = path
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
    path: Path, delimiter: str, list_fields: Collection[str], separator: str, quarantine: Quarantine
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
            quarantine.saw(path)
            quarantine.add(path, lost, problem, text)


def _check_delimiter(path: Path, header: list[str], delimiter: str) -> None:
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
    path: Path, list_fields: Collection[str], separator: str, quarantine: Quarantine
) -> Iterator[Record]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for fields in _rows(batch):
                    number += 1
                    problem = "not UTF-8" if fields is None else _parse_lists(fields, list_fields, separator)
                    if fields is not None and problem is None:
                        present = {name: value for name, value in fields.items() if value is not None}
                        present |= {name: [] for name in list_fields if name in fields and name not in present}
                        yield Record(number, None, present)
                        continue
                    quarantine.saw(path)
                    quarantine.add(path, number, problem or "", json.dumps(fields, default=str))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as Parquet after row {number}: {str(error).rstrip('.')}. Write it anew."
        ) from error


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
