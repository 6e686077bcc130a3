"""Records of JSONL, CSV and Parquet files, one by one, with their line numbers."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hft.data.records import CellFormat, Record, parse_lists
from hft.data.row_records import parquet_records, two_columns_message
from hft.data.text_lines import decoded, is_gzipped, numbered_lines, without_gz
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine
    from hft.data.sources.record_files import RecordFile

JSON_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")

_DELIMITERS = (";", "\t", ",", "|")
_LONGEST_CELL = 2**31 - 1


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
        return parquet_records(path, list_fields, cells.separator, quarantine)
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
        # Within quotes a blank line is part of its cell.
        self._numbered = numbered_lines(path, with_blank=True)
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
        if problem is None and not raw.strip():
            continue
        if header is None and problem is None:
            header = [name.strip() for name in row]
            _check_delimiter(path, header, delimiter)
            named = [name for name in header if name]
            if len(set(named)) < len(named):
                raise DataError(two_columns_message(str(path), named))
            continue
        fields: dict[str, Any] = {}
        if problem is None and len(row) != len(header or ()):
            problem = f"{len(row)} cells where the header has {len(header or ())}"
        if problem is None:
            fields = {name: cell for name, cell in zip(header or (), row, strict=True) if name and cell.strip()}
            fields |= {name: [] for name in list_fields if name in (header or ()) and name not in fields}
            problem = parse_lists(fields, list_fields, separator)
        if problem is None:
            yield Record(number, raw, fields)
            continue
        # Line by line: an open quote can swallow thousands, and each of them is lost.
        for lost, text in lines.taken:
            if text.strip():
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
