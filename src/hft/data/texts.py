"""A file of texts, or of records that texts are made of, for `hft embed`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hft.data.field_values import NoTextError
from hft.data.quarantine import Quarantine
from hft.data.record_formats import TABLE_SUFFIXES, is_known_format, read_records
from hft.data.records import CellFormat, Record
from hft.data.text_declaration import TextMaker
from hft.errors import DataError

_MOST_NAMED = 20


def read_texts(file: Path, maker: TextMaker) -> list[str]:
    """The texts of a file, in its order: lines of a .txt, or what is made of each record, as training reads them.

    Args:
        file: `.txt` (one text a line); or records: `.jsonl`, `.csv`, `.tsv` (each also with .gz) or `.parquet`.
        maker: makes the text of a record, and of a line.

    Raises:
        DataError: the file is missing, empty, not readable as what its name says, or a record has none of the fields.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file.")
    if file.suffix == ".txt":
        texts = [maker.of_line(line) for line in _lines(file)]
    elif is_known_format(file.name):
        texts = list(_of_records(file, maker))
    else:
        raise DataError(
            f"{file}: cannot be read as texts. Expected a file that ends in .txt, .jsonl, .csv, .parquet (or .ndjson, "
            ".tsv; text also with .gz)."
        )
    if not texts:
        raise DataError(f"{file}: holds no text.")
    return texts


def _of_records(file: Path, maker: TextMaker) -> Iterator[str]:
    quarantine = Quarantine(None, max_share=1.0)
    # In a table an empty cell is no field, so that its column is looked for in all records.
    is_table = any(suffix in TABLE_SUFFIXES for suffix in file.suffixes)
    lacking: Record | None = None
    there: set[str] = set()
    has_some = False
    records = read_records(file, str(file), (), CellFormat(), quarantine) if file.stat().st_size else iter(())
    for record in records:
        fields = record.parsed()
        if isinstance(fields, str):
            raise DataError(f"{file}:{record.number}: {fields}. Mend the line, or take it out.")
        try:
            text = maker.of_record(fields)
        except NoTextError as error:
            raise DataError(f"{file}:{record.number}: {error}. Mend the line, or take it out.") from None
        has_some = has_some or text is not None
        there |= fields.keys() if len(there) < _MOST_NAMED else set()
        if text is None and lacking is None:
            lacking = record
            if not is_table:
                break
        yield text or ""
    if quarantine.count:
        reasons = "; ".join(f"{reason} ({count})" for reason, count in quarantine.reasons.most_common())
        raise DataError(f"{file}: {quarantine.count} lines cannot be read: {reasons}. Mend them, or take them out.")
    if lacking is not None and not (is_table and has_some):
        named = ", ".join(map(repr, maker.fields))
        where = file if is_table else f"{file}:{lacking.number}"
        raise DataError(
            f"{where}: has no text under {named}. Found: {', '.join(sorted(there)) or 'nothing'}. Set --field."
        )


def _lines(file: Path) -> list[str]:
    # Not str.splitlines, which also cuts at characters that may stand inside a text. A last line end ends a line.
    try:
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 at byte {error.start}.") from error
    return content.removesuffix("\n").split("\n") if content else []
