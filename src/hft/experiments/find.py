"""Finds a run by what people have at hand: its folder, its id, MLflow's id, its name."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import NoReturn

from hft.errors import HftError, RunNotFoundError
from hft.experiments.manager import manager_for
from hft.experiments.run_folder import RECORD_NAME, record_files
from hft.experiments.run_record import RunRecord, load_record
from hft.experiments.store import sqlite_file, sqlite_uri, why_away
from hft.experiments.sweep_winner import winner_of_sweep

SHORTEST_PREFIX = 6
_CANDIDATES = 4


def find_run(run: str | os.PathLike[str], outputs: str | os.PathLike[str] = "outputs") -> RunRecord:
    """Finds one run.

    Args:
        run: a run folder or its run.yaml; a sweep's folder, which means its winner; or, of a run under `outputs`: the
            folder's name, the run's name, its id or MLflow's id (6 characters or more are enough where only one run
            begins with them). Where the folder of an MLflow run is gone, it is downloaded from the store. A
            reproduction has the name of the run that it repeats: the name means the original.
        outputs: where runs land.

    Returns:
        the record; `record.folder` is the run's folder.

    Raises:
        RunNotFoundError: none or more than one answers; the message lists the nearest.
        DataError: the record cannot be read.
    """
    text = os.fspath(run).strip()
    path = Path(text)
    if path.name == RECORD_NAME and path.is_file():
        return load_record(path)
    if text and (path / RECORD_NAME).is_file():
        return load_record(path / RECORD_NAME)
    if text and (winner := winner_of_sweep(path)) is not None:
        return winner
    records = _records(text, outputs)
    matches = _originals([record for record in records if _answers(record, text)], text)
    if len(matches) == 1:
        return matches[0]
    if matches:
        by_name = any(record.name == text for record in matches)
        what_to_do = "use the id of one" if by_name else "give more of one"
        raise RunNotFoundError(f"run {text!r}: {len(matches)} runs answer to it; {what_to_do}:\n{_table(matches)}")
    stored = _from_store(text, outputs)
    if stored is None:
        _refuse(text, outputs, records)
    return stored


def _records(text: str, outputs: str | os.PathLike[str]) -> list[RunRecord]:
    records = []
    for file in record_files(outputs):
        try:
            records.append(load_record(file))
        except HftError:
            if file.parent.name == text:
                raise  # the very run that was asked for is broken
    return records


def _answers(record: RunRecord, text: str) -> bool:
    if text in (record.folder.name, record.name, record.run_id, record.tracking.mlflow_run_id):
        return True
    ids = (record.run_id, record.tracking.mlflow_run_id or "")
    return len(text) >= SHORTEST_PREFIX and any(known.startswith(text) for known in ids)


def _originals(matches: list[RunRecord], name: str) -> list[RunRecord]:
    """Leaves out runs of the name that repeat another run of it."""
    if not all(record.name == name for record in matches):
        return matches
    ids = {record.run_id for record in matches}
    return [record for record in matches if record.reproduces not in ids]


def _from_store(text: str, outputs: str | os.PathLike[str]) -> RunRecord | None:
    """The run from the tracking store, where the text can be one of MLflow's ids and there is a store to ask."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(Path(outputs) / "mlflow.db")
    file = sqlite_file(uri)
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_PREFIX},32}}", text) or (file is not None and not file.exists()):
        return None
    if why_away(uri) is not None:
        return None
    manager = manager_for(uri)
    ids = manager.run_ids(text)
    if len(ids) > 1:
        listed = "\n".join(f"  {mlflow_id}" for mlflow_id in ids)
        raise RunNotFoundError(f"run {text!r}: {len(ids)} runs of {uri} begin so; give more of one:\n{listed}")
    if not ids:
        return None
    return load_record(manager.download_run(ids[0], Path(outputs) / "downloaded" / ids[0]))


def _refuse(text: str, outputs: str | os.PathLike[str], records: list[RunRecord]) -> NoReturn:
    known: dict[str, RunRecord] = {}
    for record in records:
        names = (record.folder.name, record.name, record.run_id, record.tracking.mlflow_run_id)
        known.update({name: record for name in names if name})
    near = [known[name] for name in difflib.get_close_matches(text, known, n=_CANDIDATES, cutoff=0.6)]
    near += [record for name, record in known.items() if text and name.startswith(text)]
    unique = list({record.run_id: record for record in near}.values())[:_CANDIDATES]
    if unique:
        hint = f"Did you mean:\n{_table(unique)}"
    elif records:
        latest = sorted(records, key=lambda record: record.started, reverse=True)
        hint = f"The latest are:\n{_table(latest[:_CANDIDATES])}"
    else:
        hint = "There is no run there yet: hft train makes one."
    raise RunNotFoundError(
        f"run {text!r}: is no run folder, and no run under {outputs} has that name or id "
        f"({SHORTEST_PREFIX} characters of an id are enough). {hint}"
    )


def _table(records: list[RunRecord]) -> str:
    return "\n".join(f"  {record.run_id[:8]}  {record.status_now:<11}  {record.folder}" for record in records)
