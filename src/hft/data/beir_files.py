"""The files of a collection in the BEIR layout, line by line; malformed lines go to the quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hft.data.field_names import Id, NonEmpty
from hft.data.item_lines import ItemLines, ItemRecord, item_records
from hft.data.missing_fields import FieldPresence, Needed
from hft.data.reasons import reason_of
from hft.data.records import CellFormat, Record
from hft.data.sources.record_files import FilesOfRecords, RecordFile
from hft.data.sources.stores import below, is_remote
from hft.data.text_length import QUERIES
from hft.data.text_lines import decoded, numbered_lines, without_gz
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.item_text import ItemText
    from hft.data.items import ItemsSet
    from hft.data.quarantine import Quarantine
    from hft.data.query_retriever import QueryRetriever
    from hft.data.text_normalizer import FieldsNormalizer

ID = "_id"
_KEY = "data.source.folder"
_LAYOUT = "Expected the BEIR layout: corpus.jsonl, queries.jsonl, qrels/train.tsv, qrels/test.tsv."


class _QueryLine(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore")
    id: Annotated[Id, Field(alias="_id")]
    text: NonEmpty


def find_file(folder: Path | str, name: str) -> Path | RecordFile:
    """The file of this name, or with .gz after it.

    Args:
        folder: a folder here, or its address in a store.
        name: of the file.

    Raises:
        DataError: neither is there.
    """
    if is_remote(str(folder)):
        found = {file.name: file for file in _in_store(folder, f"{name}*")}
        if name in found or f"{name}.gz" in found:
            return found.get(name) or found[f"{name}.gz"]
        raise DataError(f"{_KEY}: {folder} has no {name} (nor {name}.gz). {_LAYOUT}")
    for candidate in (Path(folder) / name, Path(folder) / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    there = ", ".join(sorted(path.name for path in Path(folder).iterdir())[:10]) or "nothing"
    raise DataError(f"{_KEY}: {folder} has no {name} (nor {name}.gz). There: {there}. {_LAYOUT}")


def judgement_files(folder: Path | str) -> dict[str, Path | RecordFile]:
    """The qrels files by split: `train` for qrels/train.tsv or qrels/train.tsv.gz.

    Raises:
        DataError: there is none.
    """
    found: Sequence[Path | RecordFile]
    if is_remote(str(folder)):
        found = _in_store(folder, "qrels/*.tsv*")
    else:
        found = sorted((Path(folder) / "qrels").glob("*.tsv*"))
    files = {path.name.split(".")[0]: path for path in found if without_gz(path) == ".tsv"}
    if not files:
        raise DataError(
            f"{_KEY}: {folder} has no judgements. Expected qrels/train.tsv and qrels/test.tsv "
            f"(or .tsv.gz) with the columns query-id, corpus-id, score."
        )
    return files


def _in_store(folder: Path | str, pattern: str) -> list[RecordFile]:
    return FilesOfRecords(below(folder, pattern), _KEY, CellFormat()).files


def read_corpus(
    path: Path | RecordFile,
    item_fields: list[str] | None,
    quarantine: Quarantine,
    item_text: ItemText | None = None,
    normalizer: FieldsNormalizer | None = None,
) -> tuple[ItemsSet, int, ItemLines]:
    """(items, how many identical lines were merged, what knows of which fields their texts were made).

    Raises:
        DataError: the file is empty, or one of the fields is in no line, or too many lines are malformed.
    """
    lines = ItemLines(
        path,
        ID,
        "title",
        item_fields,
        quarantine,
        fields_key="data.source.item_fields",
        item_text=item_text,
        normalizer=normalizer,
    )
    for number, raw in numbered_lines(path):
        lines.add(Record(number, raw, None))
    return *lines.finish(), lines


def corpus_records(path: Path | RecordFile, normalizer: FieldsNormalizer | None = None) -> Iterator[ItemRecord]:
    """The records of the items, as they stand in the file.

    Raises:
        DataError: the file cannot be read.
    """
    return item_records((Record(number, raw, None) for number, raw in numbered_lines(path)), ID, normalizer)


def read_queries(
    path: Path | RecordFile, quarantine: Quarantine, retriever: QueryRetriever | None = None
) -> dict[str, str]:
    """Texts of the queries by id: of the field `text`, or as the retriever takes them out of a line.

    Raises:
        DataError: the file has no usable line, or too many are malformed, or a field of the retriever is in no line.
    """
    queries: dict[str, str] = {}
    fields, key = ([], "") if retriever is None else (retriever.fields, retriever.key)
    presence = FieldPresence([Needed(name, key, False, is_within=True) for name in fields])
    for number, raw in numbered_lines(path):
        quarantine.saw(str(path))
        record = Record(number, raw, None).parsed()
        if isinstance(record, str):
            quarantine.add(str(path), number, record, raw)
            continue
        if retriever is not None:
            presence.count(record)
            record = {**record, "text": retriever(record)}
        try:
            line = _QueryLine.model_validate(record)
        except ValidationError as error:
            quarantine.add(str(path), number, reason_of(error, raw), raw)
            continue
        text = quarantine.cut(line.text, QUERIES, str(path), number)
        if queries.setdefault(line.id, text) != text:
            quarantine.add(str(path), number, "another query has this id", raw)
    presence.require(str(path), in_most=False)
    quarantine.check(str(path))
    if not queries:
        raise DataError(f"{path}: the file has no query. Expected lines such as " + '{"_id": "1", "text": "..."}.')
    return queries


def read_judgements(
    path: Path | RecordFile, queries: dict[str, str], items: ItemsSet, quarantine: Quarantine
) -> dict[str, dict[int, float]]:
    """Grades by query id and row of the item. Three columns (query, item, score) or the four of TREC; a
    first line whose score is not a number is the header.

    Raises:
        DataError: too many lines are malformed.
    """
    judged: dict[str, dict[int, float]] = {}
    for number, raw in numbered_lines(path):
        parsed = _judgement(raw)
        if number == 1 and parsed == "the score is not a number":
            continue
        quarantine.saw(str(path))
        problem = parsed if isinstance(parsed, str) else _add_judgement(judged, parsed, queries, items)
        if problem is not None:
            quarantine.add(str(path), number, problem, raw)
    quarantine.check(str(path))
    return judged


def _judgement(raw: bytes) -> tuple[str, str, float] | str:
    """(query id, item id, grade), or what is wrong."""
    text = decoded(raw)
    if text is None:
        return "not UTF-8"
    cells: list[Any] = text.split("\t") if "\t" in text else text.split()
    if len(cells) == 4:
        del cells[1]
    if len(cells) != 3:
        return "not three columns (query-id, corpus-id, score)"
    try:
        grade = float(cells[2])
    except ValueError:
        return "the score is not a number"
    if not abs(grade) < float("inf"):
        return "the score is not finite"
    return cells[0].strip(), cells[1].strip(), max(grade, 0.0)


def _add_judgement(
    judged: dict[str, dict[int, float]],
    line: tuple[str, str, float],
    queries: dict[str, str],
    items: ItemsSet,
) -> str | None:
    query_id, item_id, grade = line
    if query_id not in queries:
        return "no query has this id"
    if item_id not in items:
        return "no item has this id"
    row = items.row_of(item_id)
    if judged.setdefault(query_id, {}).setdefault(row, grade) != grade:
        return "another score stands for this query and item"
    return None
