"""`hft runs --prune keep=N`: model files of old iterations are removed. Records, reports, values a query stay."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hft.checksums import CHECKSUMS_NAME
from hft.errors import ConfigError
from hft.experiments.champions import protected_run_ids
from hft.experiments.history import stores_not_asked, stores_of
from hft.experiments.iteration_records import Iteration, iterations, read_records
from hft.experiments.run_folder import CHECKPOINTS_NAME, MODEL_NAME
from hft.experiments.run_record import RunRecord, weights_hash
from hft.experiments.stored_models import StoredModel, StoredModels, folder_size
from hft.files import storage_errors

# What an interrupted removal leaves.
_ASIDE = (f".{MODEL_NAME}.removed", f".{CHECKPOINTS_NAME}.removed")


@dataclass(frozen=True)
class Removal:
    """A run whose model files go.

    Args:
        record: of the run.
        folders: that are removed.
        size: in bytes, of all that is removed.
        stored: the copy of the model in the tracking store, removed as well where it is within reach.
    """

    record: RunRecord
    folders: tuple[Path, ...]
    size: int
    stored: StoredModel | None = None


def iterations_to_keep(text: str) -> int:
    """The number of `keep=3`.

    Raises:
        ConfigError: it is none, or below 1.
    """
    found = re.fullmatch(r"keep=(\d+)", text.strip())
    if found is None or int(found.group(1)) < 1:
        raise ConfigError(
            f"--prune: found {text!r}. Expected keep=N: how many iterations of each method keep their models, "
            "1 or more, such as keep=3."
        )
    return int(found.group(1))


def models_to_remove(outputs: str | os.PathLike[str], keep: int, own_stores: Collection[str]) -> list[Removal]:
    """Models and checkpoints of all but the last `keep` iterations of each method, by their beginning.

    Never those of a champion, its predecessor or the best champion ever, of a run that may still be running, or of one
    that such a run or a run of an iteration that is kept starts from. Copies in the user's own tracking stores go too.
    A model that is not what hft saved there is not hft's to remove.

    Args:
        outputs: where runs land.
        keep: iterations of each method.
        own_stores: addresses of the user's own stores.

    Raises:
        DamagedError: a record cannot be read, so that nobody knows what it holds on to.
        TrackingError: a store that may know champions is away, so that nothing may be removed.
    """
    records = read_records(outputs)
    found = iterations(records)
    by_method: dict[str, list[Iteration]] = {}
    for one in sorted(found, key=lambda one: (one.begun, one.depth)):
        by_method.setdefault(one.method, []).append(one)
    old = {(one.method, one.name) for group in by_method.values() for one in group[:-keep]}
    if not old:
        return []
    protected = {
        record.parent
        for record in records
        if record.parent is not None and (record.status_now == "running" or _where(record) not in old)
    }
    for store in stores_of(records, outputs):
        protected |= protected_run_ids(outputs, store)
    protected |= {record.run_id for record in records if stores_not_asked([record])}
    stored = StoredModels(own_stores)
    seen: set[str] = set()
    removals = []
    for record in records:
        if _where(record) in old and record.run_id not in protected and record.status_now != "running":
            # A copy of a run that was downloaded has the same copy in the store.
            copy = stored.find(record) if record.run_id not in seen else None
            seen.add(record.run_id)
            removals.append(_removal(record, copy))
    return [removal for removal in removals if removal.folders or removal.stored is not None]


def remove(removal: Removal) -> None:
    """Removes the folders, and the copy in the store. A folder is first renamed: no reader meets half a model.

    Raises:
        StorageError: the system refuses.
        TrackingError: the store refuses.
    """
    for folder in removal.folders:
        with storage_errors(folder):
            aside = folder if folder.name in _ASIDE else folder.with_name(f".{folder.name}.removed")
            if aside != folder:
                if aside.exists():
                    shutil.rmtree(aside)
                folder.rename(aside)
            shutil.rmtree(aside)
    if removal.stored is not None:
        StoredModels(()).remove(removal.stored)


def _removal(record: RunRecord, stored: StoredModel | None) -> Removal:
    folders = tuple(
        folder
        for name in (*_ASIDE, MODEL_NAME, CHECKPOINTS_NAME)
        if (folder := record.folder / name).is_dir() and not folder.is_symlink() and _is_hfts(folder, record)
    )
    size = sum(map(folder_size, folders)) + (stored.size or 0 if stored is not None else 0)
    return Removal(record, folders, size, stored)


def _is_hfts(folder: Path, record: RunRecord) -> bool:
    """Whether hft wrote what is there: a model has its checksums, or the weights that its record names."""
    if folder.name != MODEL_NAME:
        return True
    return (folder / CHECKSUMS_NAME).is_file() or record.results.weights in (None, weights_hash(folder))


def _where(record: RunRecord) -> tuple[str, str]:
    return record.method, record.iteration
