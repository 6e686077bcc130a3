"""Prepared data kept in a store: the next run on the same files opens it in the blink of an eye."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hft.data.identity import SourceIdentity, Stats, identity_of, preparation_key
from hft.data.kept_files import NotWholeError, read_prepared, size_of_prepared, write_prepared
from hft.errors import StorageError
from hft.stores import StoreFolder

if TYPE_CHECKING:
    from hft.data.ranking_data import RankingData
    from hft.data.source import SessionSource, Splitter

KIND = "data"


def kept_or_prepared(
    prepare: Callable[[], RankingData],
    source: SessionSource,
    splitter: Splitter,
    store: StoreFolder,
    *,
    options: Mapping[str, Any],
    quarantine_path: Path | None,
    required_splits: Sequence[str],
) -> RankingData:
    """Prepared data from the store, or prepared now and kept there.

    The same as `prepare()` gives, report and quarantine file too; mapped from the disk, so that it takes no memory of
    the process. Sources and splitters that are not hft's own are prepared each time.

    Args:
        prepare: reads the source.
        source, splitter: what it reads.
        store: where data is kept.
        options: all else that decides what is prepared.
        quarantine_path: where malformed lines are to go.
        required_splits: splits that must not be empty.

    Raises:
        DataError, StorageError: as `prepare` does.
    """
    started = time.perf_counter()
    identity = identity_of(source, splitter)
    if identity is None:
        return prepare()
    try:
        before = identity.stats()
        options = {**options, "quarantines": quarantine_path is not None}
        key = preparation_key(identity, source, splitter, options, store)
    except OSError:
        return prepare()
    if key is None:
        return prepare()
    kept = _kept(store, key, identity, quarantine_path)
    if kept is None:
        data = prepare()
        kept = _published(data, store, key, identity, before) or data
    elif any(len(kept.splits[name]) == 0 for name in required_splits):
        return prepare()  # it says what is missing, and why
    return kept.with_report(replace(kept.report, seconds=time.perf_counter() - started))


def _kept(store: StoreFolder, key: str, identity: SourceIdentity, quarantine_path: Path | None) -> RankingData | None:
    entry = store.published(KIND, key)
    if entry is None:
        return None
    try:
        return read_prepared(entry, identity.files, quarantine_path)
    except NotWholeError as error:
        store.drop(entry, f"not whole ({error})")
        return None


def _published(
    data: RankingData, store: StoreFolder, key: str, identity: SourceIdentity, before: Stats
) -> RankingData | None:
    """The data as the store has it now; None where it is not kept."""
    try:
        if identity.stats() != before:  # changed while it was read: what was read has no name
            return None
        if not store.make_room(size_of_prepared(data)):
            store.say("stores.disk_budget: no room for the prepared data; the next run reads its files again.")
            return None
        with store.publish(KIND, key) as folder:
            write_prepared(data, identity.files, folder)
        entry = store.entry(KIND, key)
        found = read_prepared(entry, identity.files, None)
    except (StorageError, OSError, pa.ArrowException, NotWholeError) as error:
        store.say(str(error))
        return None
    pa.default_memory_pool().release_unused()
    return found.with_report(data.report)
