"""A file of texts, for `hft embed`."""

from __future__ import annotations

import json
from pathlib import Path

from hft.errors import DataError


def read_texts(file: Path, field: str = "text") -> list[str]:
    """The texts of a file, in its order.

    Args:
        file: `.txt` (one text a line), `.jsonl`, `.csv` or `.parquet`.
        field: the field or column that holds the text; not used for `.txt`.

    Raises:
        DataError: the file is missing, empty, not readable as what its name says, or a line lacks the field.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file.")
    readers = {".txt": _lines, ".jsonl": _jsonl, ".csv": _table, ".parquet": _table}
    if file.suffix not in readers:
        raise DataError(f"{file}: cannot be read as texts. Expected a file that ends in {', '.join(readers)}.")
    try:
        texts = readers[file.suffix](file, field)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 at byte {error.start}.") from error
    if not texts:
        raise DataError(f"{file}: holds no text.")
    return texts


def _lines(file: Path, field: str) -> list[str]:
    # Not str.splitlines, which also cuts at characters that may stand inside a text. A last line end ends a line.
    content = file.read_text(encoding="utf-8-sig")
    return content.removesuffix("\n").split("\n") if content else []


def _jsonl(file: Path, field: str) -> list[str]:
    texts = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{file}:{number}: is not JSON: {error.msg}.") from error
        if not isinstance(value, dict) or not isinstance(value.get(field), str):
            found = f"fields {', '.join(value)}" if isinstance(value, dict) else f"a {type(value).__name__}, no object"
            raise DataError(f"{file}:{number}: has no text under '{field}'. Found: {found}. Set --field.")
        texts.append(value[field])
    return texts


def _table(file: Path, field: str) -> list[str]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    # A text is a text, also where it reads like a number or a date, and it may hold line ends.
    as_text = pyarrow.csv.ConvertOptions(column_types={field: pa.string()})
    in_quotes = pyarrow.csv.ParseOptions(newlines_in_values=True)
    if file.stat().st_size == 0:
        return []
    try:
        if file.suffix == ".parquet":
            table = pyarrow.parquet.read_table(file)
        else:
            table = pyarrow.csv.read_csv(file, convert_options=as_text, parse_options=in_quotes)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file}: is not a {file.suffix[1:]} file: {error}") from error
    if field not in table.column_names:
        raise DataError(f"{file}: has no column '{field}'. Found: {', '.join(table.column_names)}. Set --field.")
    return ["" if value is None else str(value) for value in table.column(field).to_pylist()]
