"""`hft runs --sync`: pushes what a store missed while it was away."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hft.errors import HftError
from hft.experiments.manager import ExperimentsManager
from hft.experiments.projection import leave_pending, push_run
from hft.experiments.run_folder import record_files
from hft.experiments.run_record import RunRecord, load_record
from hft.experiments.store import TrackingError, why_away


@dataclass(frozen=True)
class Pushed:
    """What became of one pending run.

    Args:
        record: the run.
        problem: None where it was pushed, else why not, in words.
    """

    record: RunRecord
    problem: str | None


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


def sync(outputs: str | os.PathLike[str] = "outputs") -> list[Pushed]:
    """Pushes every pending run under `outputs` to the store that its record names. Harmless to repeat.

    Returns:
        one entry a pending run. A store that is away is asked once, not once a run.
    """
    managers: dict[str, ExperimentsManager] = {}
    away: dict[str, str] = {}
    outcomes = []
    for record in pending_runs(outputs):
        uri = str(record.tracking.uri)
        if uri not in managers and uri not in away:
            reason = why_away(uri)
            if reason is None:
                managers[uri] = ExperimentsManager(uri, patient=True)
            else:
                away[uri] = reason
        outcomes.append(Pushed(record, away.get(uri) or _push(managers[uri], record)))
    return outcomes


def _push(manager: ExperimentsManager, record: RunRecord) -> str | None:
    try:
        push_run(manager, record)
    except HftError as error:
        if isinstance(error, TrackingError):
            leave_pending(record, str(error))
        return str(error)
    return None
