"""`hft runs --sync`: pushes what a store missed while it was away."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hft.errors import ConfigError, DataError, HftError
from hft.experiments.manager import ExperimentsManager
from hft.experiments.projection import leave_pending, push_run
from hft.experiments.run_folder import record_files
from hft.experiments.run_record import RunRecord, load_record
from hft.experiments.store import TrackingError, absolute_uri, why_away
from hft.experiments.sweep_run import push_sweep
from hft.experiments.sweep_tracking import load_sweep_tracking, tracked_sweeps
from hft.redaction import redacted


@dataclass(frozen=True)
class Pushed:
    """What became of one pending run.

    Args:
        record: the run.
        problem: None where it was pushed, else why not, in words.
    """

    record: RunRecord
    problem: str | None


@dataclass(frozen=True)
class PushedSweep:
    """What became of one sweep that is pending or cannot be read. Its trials are runs of their own.

    Args:
        folder: of the sweep.
        problem: None where it was pushed, else why not, in words.
    """

    folder: Path
    problem: str | None


def sync_sweeps(outputs: str | os.PathLike[str] = "outputs", own: Collection[str] | None = None) -> list[PushedSweep]:
    """Pushes the pending sweeps under `outputs` to their stores. To be called before `sync`: trials are their children.

    Args:
        outputs: where runs land.
        own: as in `sync`.

    Returns:
        one entry a pending sweep, and one a sweep whose file of tracking cannot be read.
    """
    outcomes = []
    stores = _Stores(own)
    for folder in tracked_sweeps(outputs):
        try:
            sweep = load_sweep_tracking(folder)
        except DataError as error:
            outcomes.append(PushedSweep(folder, str(error)))
            continue
        if sweep is None or not sweep.pending or sweep.status_now == "running":
            continue
        try:
            push_sweep(stores.manager(sweep.uri), sweep)
        except HftError as error:
            sweep.reason = str(error)
            outcomes.append(PushedSweep(folder, str(error)))
        else:
            outcomes.append(PushedSweep(folder, None))
    return outcomes


def pending_runs(outputs: str | os.PathLike[str]) -> list[RunRecord]:
    """Runs under `outputs` that their store lacks, oldest first. Those that still run push themselves: left out."""
    found = []
    for file in reversed(record_files(outputs)):
        try:
            record = load_record(file)
        except HftError:
            continue  # `hft runs` lists it as broken
        if record.tracking.kind == "mlflow" and record.tracking.pending and record.status_now != "running":
            found.append(record)
    return found


def sync(outputs: str | os.PathLike[str] = "outputs", own: Collection[str] | None = None) -> list[Pushed]:
    """Pushes every pending run under `outputs` to the store that its record names. Harmless to repeat.

    Args:
        outputs: where runs land.
        own: addresses of the user's own stores; to others nothing is pushed. None: all records are the caller's own.

    Returns:
        one entry a pending run. A store that is away is asked once, not once a run.
    """
    stores = _Stores(own)
    outcomes = []
    for record in pending_runs(outputs):
        try:
            manager = stores.manager(str(record.tracking.uri))
        except HftError as error:
            outcomes.append(Pushed(record, str(error)))
        else:
            outcomes.append(Pushed(record, _push(manager, record)))
    return outcomes


class _Stores:
    """Managers of stores by their address. One that is away is asked once."""

    def __init__(self, own: Collection[str] | None) -> None:
        self._own = own
        self._managers: dict[str, ExperimentsManager] = {}
        self._away: dict[str, str] = {}

    def manager(self, uri: str) -> ExperimentsManager:
        """The manager of a store.

        Raises:
            TrackingError: the store is away.
            ConfigError: the uri is no address of a store, or not of one of the user's own.
        """
        if self._own is not None and absolute_uri(uri) not in self._own:
            raise ConfigError(
                f"the record names the store {redacted(uri)}, which is not the one of your config. If it is "
                "yours, say so: MLFLOW_TRACKING_URI=ADDRESS hft runs --sync"
            )
        if uri not in self._managers and uri not in self._away:
            reason = why_away(uri)
            if reason is None:
                self._managers[uri] = ExperimentsManager(uri, patient=True)
            else:
                self._away[uri] = reason
        if uri in self._away:
            raise TrackingError(self._away[uri])
        return self._managers[uri]


def _push(manager: ExperimentsManager, record: RunRecord) -> str | None:
    try:
        push_run(manager, record)
    except HftError as error:
        if isinstance(error, TrackingError):
            leave_pending(record, str(error))
        return str(error)
    return None
