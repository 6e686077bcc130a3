"""Prepared data as files: Arrow and NumPy without objects, read by mapping them into memory.

manifest.json                       the report and the fingerprint
items.arrow  train.arrow  ...       columns of ITEMS_SCHEMA and INPUTS_SCHEMA
queries.arrow                       the distinct queries, sorted, with their near-duplicate keys
train.query_rows.npy  ...           int32[sessions]: rows of queries.arrow
train.offsets.npy  ...              int64[sessions+1]
test.unclicked.arrow  ...           sessions without an event that a click model alone sees, where they were kept
query_key.npy                       int64[queries], equal for near-duplicates
item_key.npy  validation.pool.npy   as RankingData has them
set_aside.jsonl                     malformed lines, where there were any
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hft.data.coded_queries import CodedQueries, QueryTexts
from hft.data.inputs import FineTuningInputs
from hft.data.items import ItemsSet
from hft.data.ranking_data import RankingData
from hft.data.report import PreparationReport, SplitCounts
from hft.files import atomic_write, storage_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 3
# Of a session, beside its columns: the row of its query, and where its results start.
_BYTES_BESIDE = 12
_MANIFEST = "manifest.json"
_QUARANTINE = "set_aside.jsonl"


class NotWholeError(Exception):
    """An entry's files are not what its manifest says."""


def write_prepared(data: RankingData, files: Mapping[str, object], folder: Path) -> None:
    """Write prepared data into an empty folder.

    Args:
        data: as it was prepared from its source.
        files: the source's files by the part they play: what the report says of them holds for any copies of them.
        folder: to fill.

    Raises:
        OSError, pyarrow.ArrowException: the system refused.
    """
    _write_table(folder / "items.arrow", data.items.table)
    texts = data.query_texts
    keys = pa.array(texts.keys(data.noise_words), type=pa.string())
    _write_table(folder / "queries.arrow", pa.table({"text": texts.column, "key": keys}))
    _write_array(folder / "query_key.npy", texts.key_numbers(data.noise_words))
    _write_array(folder / "item_key.npy", data.item_key)
    for name, inputs in data.splits.items():
        _write_table(folder / f"{name}.arrow", inputs.table)
        _write_array(folder / f"{name}.query_rows.npy", data.query_rows(inputs).astype(np.int32))
        _write_array(folder / f"{name}.offsets.npy", inputs.offsets)
    for name, inputs in data.unclicked.items():
        _write_table(folder / f"{name}.unclicked.arrow", inputs.table)
    for name, pool in data.pools.items():
        _write_array(folder / f"{name}.pool.npy", pool)
    if data.report.quarantine_file is not None:
        shutil.copyfile(data.report.quarantine_file, folder / _QUARANTINE)
    manifest = {
        "format": FORMAT,
        "fingerprint": data.fingerprint(),
        "candidates": data.candidates,
        "pools": sorted(data.pools),
        "unclicked": sorted(data.unclicked),
        "noise_words": list(data.noise_words),
        "files": {role: str(path) for role, path in files.items()},
        "report": data.report.to_dict(),
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def read_prepared(folder: Path, files: Mapping[str, object], quarantine_path: Path | None) -> RankingData:
    """Map prepared data into memory. Its report is that of the first reading, and so is the quarantine file.

    Args:
        folder: of an entry.
        files: the source's files as they lie today.
        quarantine_path: where the lines set aside go, as hft.data.Quarantine writes them; None: nowhere.

    Raises:
        NotWholeError: a file is missing, cut or no file of its kind.
        StorageError: the quarantine file cannot be written.
    """
    try:
        manifest = _checked_manifest(folder)
        items = ItemsSet(_read_table(folder / "items.arrow"))
        queries = _read_table(folder / "queries.arrow")
        texts = QueryTexts(queries.column("text").chunk(0) if len(queries) else pa.array([], type=pa.string()))
        noise_words = tuple(manifest["noise_words"])
        numbers = _read_array(folder / "query_key.npy")
        texts.know_keys(noise_words, lambda: list(queries.column("key").to_pylist()), numbers)
        splits = {name: _read_inputs(folder, name, items, texts) for name in ("train", "validation", "test")}
        pools = {name: _read_array(folder / f"{name}.pool.npy") for name in manifest["pools"]}
        moved = {manifest["files"][role]: str(path) for role, path in files.items()}
        report = _report(manifest["report"], moved, quarantine_path)
        data = RankingData(
            items,
            splits["train"],
            splits["validation"],
            splits["test"],
            candidates=manifest["candidates"],
            pools=pools,
            report=report,
            noise_words=noise_words,
            unclicked={
                name: FineTuningInputs(_read_table(folder / f"{name}.unclicked.arrow"), items)
                for name in manifest["unclicked"]
            },
        )
        data.__dict__.update(
            query_texts=texts, item_key=_read_array(folder / "item_key.npy"), _fingerprint=manifest["fingerprint"]
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, pa.ArrowException) as error:
        raise NotWholeError(f"{type(error).__name__}: {error}") from error
    if report.quarantine_file is not None:
        _copy_quarantine(folder / _QUARANTINE, Path(report.quarantine_file), moved)
    return data


def size_of_prepared(data: RankingData) -> int:
    """Bytes that the files of prepared data take, about."""
    parts = [*data.splits.values(), *data.unclicked.values()]
    tables = [data.items.table, *(inputs.table for inputs in parts)]
    sessions = sum(len(inputs) for inputs in data.splits.values())
    return sum(int(table.nbytes) for table in tables) + _BYTES_BESIDE * sessions


def _checked_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, expected {FORMAT}")
    return manifest


def _read_inputs(folder: Path, name: str, items: ItemsSet, texts: QueryTexts) -> FineTuningInputs:
    inputs = FineTuningInputs(_read_table(folder / f"{name}.arrow"), items)
    rows, offsets = _read_array(folder / f"{name}.query_rows.npy"), _read_array(folder / f"{name}.offsets.npy")
    if len(rows) != len(inputs) or len(offsets) != len(inputs) + 1:
        raise ValueError(f"{name}: arrays of other lengths than its table")
    inputs.__dict__.update(coded_queries=CodedQueries(rows, texts), offsets=offsets)
    return inputs


def _report(kept: dict[str, Any], moved: Mapping[str, str], quarantine_path: Path | None) -> PreparationReport:
    splits = {name: SplitCounts(**counts) for name, counts in kept["splits"].items()}
    lines = {name: tuple(kept[name]) for name in ("notes", "warnings")}
    report = PreparationReport(**{**kept, "splits": splits, **lines})
    return replace(
        report,
        read={moved.get(file, file): count for file, count in report.read.items()},
        quarantined={moved.get(file, file): count for file, count in report.quarantined.items()},
        quarantine_file=str(quarantine_path) if report.quarantine_file and quarantine_path else None,
    )


def _copy_quarantine(kept: Path, target: Path, moved: Mapping[str, str]) -> None:
    with storage_errors(target), atomic_write(target) as file, open(kept, encoding="utf-8") as lines:
        if all(old == new for old, new in moved.items()):
            shutil.copyfileobj(lines, file)
            return
        for line in lines:
            entry = json.loads(line)
            file.write(json.dumps({**entry, "file": moved.get(entry["file"], entry["file"])}) + "\n")


def _write_table(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _read_table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    table.validate()
    return table


def _write_array(path: Path, array: NDArray[Any]) -> None:
    np.save(path, array, allow_pickle=False)


def _read_array(path: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    # As a plain array over the same memory: a memmap is a class of its own, with slower indexing.
    return found.view(np.ndarray)
