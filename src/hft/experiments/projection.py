"""Pushes a run's folder into the tracking store. The folder is the truth; the store is a picture of it.

Everything here can be repeated: what the store has already is found or overwritten, never doubled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hft.experiments.manager import BASE_MODEL_TAG, SWEEP_TAG, ExperimentsManager
from hft.experiments.run_folder import (
    MODEL_NAME,
    PER_QUERY_NAME,
    PICTURES_NAME,
    RECORD_NAME,
    REPORT_NAME,
    STEPS_NAME,
)
from hft.experiments.run_record import RunRecord
from hft.experiments.steps import read_steps
from hft.experiments.store import absolute_uri
from hft.experiments.store_requests import PARENT_TAG
from hft.experiments.sweep_tracking import sweep_tracking_of
from hft.experiments.tracked_result import CHOICES_TAG
from hft.files import sha256_file

RECORD_TAG = "hft.record_sha256"
_STATUS = {"done": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "interrupted": "KILLED", "running": "RUNNING"}

# What all trials of a sweep have in common and its own run says: a batch of params less a trial.
_SAID_ONCE = ("search", "tracking", "iteration", "outputs", "run_name")


def experiment_name(record: RunRecord) -> str:
    """The MLflow experiment of a run: `METHOD/ITERATION`."""
    return f"{record.method}/{record.iteration}"


def push_start(manager: ExperimentsManager, record: RunRecord, *, fresh: bool = False) -> str:
    """Makes the run in the store, with its parameters; a trial as a child of its sweep's run, where that is there.

    Args:
        manager: of the store.
        record: of the run.
        fresh: the run was never pushed, so that it need not be looked for.

    Returns:
        MLflow's id of the run.

    Raises:
        TrackingError: the store is away or refuses.
    """
    tags = {
        "hft.method": record.method,
        "hft.iteration": record.iteration,
        BASE_MODEL_TAG: record.hashes.get("base_model", ""),
        "hft.data_hash": record.hashes.get("data", ""),
        "hft.parent": record.parent or "",
        "hft.reproduces": record.reproduces or "",
        CHOICES_TAG: json.dumps(record.choices) if record.choices else "",
        SWEEP_TAG: record.sweep or "",
        "hft.trial": "" if record.trial is None else str(record.trial),
        PARENT_TAG: _run_of_the_sweep(manager, record) or "",
    }
    name = record.name or record.folder.name
    tags = {key: value for key, value in tags.items() if value}
    config = {key: value for key, value in record.config.items() if record.sweep is None or key not in _SAID_ONCE}
    return manager.start_run(experiment_name(record), record.run_id, name=name, config=config, tags=tags, fresh=fresh)


def push_end(
    manager: ExperimentsManager,
    record: RunRecord,
    mlflow_run_id: str,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Pushes rows that the store lacks, the final values, the files and the model, and closes the run.

    The record goes last, marked as pushed: one that says so has a store that holds all the rest.

    Raises:
        TrackingError: the store is away or refuses.
    """
    finished = record.results.finished
    moment = datetime.now().timestamp() if finished is None else datetime.fromisoformat(finished).timestamp()
    last_step = max((int(row["step"]) for row in rows), default=0)
    final = {**record.results.metrics, "step": last_step, "time": moment}
    seconds = {f"{phase}_seconds": value for phase, value in record.results.seconds.items()}
    manager.log_rows(mlflow_run_id, [*rows, {**seconds, **final}])
    for name in (STEPS_NAME, REPORT_NAME, PER_QUERY_NAME):
        if (record.folder / name).is_file():
            manager.log_files(mlflow_run_id, record.folder / name)
    if (record.folder / PICTURES_NAME).is_dir():
        manager.log_files(mlflow_run_id, record.folder / PICTURES_NAME, PICTURES_NAME)
    if (record.folder / MODEL_NAME).is_dir() and wants_model(record):
        manager.log_files(mlflow_run_id, record.folder / MODEL_NAME, MODEL_NAME)
    settle(record)
    manager.log_files(mlflow_run_id, record.folder / RECORD_NAME)
    tags = {RECORD_TAG: sha256_file(record.folder / RECORD_NAME)}
    manager.end_run(mlflow_run_id, _STATUS[record.status_now], tags)


def push_run(manager: ExperimentsManager, record: RunRecord) -> str:
    """Pushes a whole run from its folder.

    Returns:
        MLflow's id of the run.

    Raises:
        TrackingError: the store is away or refuses.
    """
    mlflow_run_id = push_start(manager, record)
    record.tracking = record.tracking.model_copy(
        update={"mlflow_run_id": mlflow_run_id, "experiment": experiment_name(record)}
    )
    steps = record.folder / STEPS_NAME
    rows = read_steps(steps) if steps.is_file() else []
    push_end(manager, record, mlflow_run_id, rows)
    return mlflow_run_id


def settle(record: RunRecord) -> None:
    """Marks the record as pushed and saves it, so that the copy in the store says the same as the folder's."""
    record.status = record.status_now
    record.tracking = record.tracking.model_copy(update={"pending": False, "reason": None})
    record.save()


def leave_pending(record: RunRecord, reason: str) -> None:
    """Marks the record as not pushed and saves it; `hft runs --sync` pushes it."""
    record.tracking = record.tracking.model_copy(update={"pending": True, "reason": reason})
    record.save()


def logs_models(record: RunRecord) -> bool:
    """Whether the run's config asks for models in the store (`tracking.log_model`)."""
    return bool((record.config.get("tracking") or {}).get("log_model", True))


def wants_model(record: RunRecord) -> bool:
    """Whether the run's own model goes into the store: of a search's trials only the one that was measured on test."""
    is_measured = any(name.startswith("test_") for name in record.results.metrics)
    return logs_models(record) and (record.trial is None or is_measured)


def _run_of_the_sweep(manager: ExperimentsManager, record: RunRecord) -> str | None:
    sweep = sweep_tracking_of(record)
    if sweep is None or absolute_uri(sweep.uri) != manager.uri or sweep.experiment != experiment_name(record):
        return None
    return sweep.mlflow_run_id
