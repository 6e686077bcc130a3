"""A sweep in the tracking store: one run whose children are the trials, with the best so far and the sweep's files."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from hft.errors import DataError
from hft.experiments.manager import ExperimentsManager, manager_for
from hft.experiments.plain import plain
from hft.experiments.process import Process
from hft.experiments.projection import leave_pending, push_end, push_start
from hft.experiments.run_folder import PICTURES_NAME, STEPS_NAME
from hft.experiments.run_record import RunRecord
from hft.experiments.steps import read_steps
from hft.experiments.store import absolute_uri, check_uri
from hft.experiments.sweep_tracking import SweepStatus, SweepTracking, load_sweep_tracking

Notify = Callable[[str], None]

SWEEP_FILES = ("trials.csv", "optimization_results.yaml", "summary.json", "conf/winner/best.yaml")

_STATUS = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "running": "RUNNING"}
_SECONDS_BETWEEN_WRITES = 5.0


class SweepRun:
    """Follows a sweep in the store that its config names. A store that is away never stops a sweep, nor slows it.

    With `tracking.kind=csv` nothing is done. What the store missed stays in `tracking.json` of the sweep's folder, and
    `hft runs --sync` pushes it.

    Args:
        folder: of the sweep.
        sweep: its name, as `sweep` of its trials' records.
        config: resolved, of any of its trials: `tracking`, `method.meta.name` and `iteration.name` are looked at.
        notify: shows a line to the user.

    Raises:
        ConfigError: `tracking.uri` is no address of a store.
    """

    def __init__(self, folder: str | os.PathLike[str], sweep: str, config: Mapping[str, Any], notify: Notify) -> None:
        self._folder, self._sweep, self._notify = Path(folder), sweep, notify
        tracking = config.get("tracking") or {}
        self._uri = str(tracking.get("uri")) if tracking.get("kind", "csv") == "mlflow" else None
        if self._uri is not None:
            check_uri(self._uri)
        like = RunRecord(config=dict(config))
        self._experiment = f"{like.method}/{like.iteration}"
        self._state: SweepTracking | None = None
        self._pushed_rows = 0
        self._pushed_at = 0.0
        self._given_up = False

    @property
    def mlflow_run_id(self) -> str | None:
        """MLflow's id of the sweep's run, once it exists."""
        return None if self._state is None else self._state.mlflow_run_id

    def start(self, facts: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> None:
        """Before the first trial: makes the run, or finds it where the sweep is resumed.

        Args:
            facts: nested plain values that say what is searched and how; they become the run's params.
            tags: more tags of the run.
        """
        if self._uri is None:
            return
        try:
            before = load_sweep_tracking(self._folder)
        except DataError as error:
            self._notify(str(error))
            before = None
        if before is None or before.sweep != self._sweep or before.uri != self._uri:
            before = SweepTracking(sweep=self._sweep, experiment=self._experiment, uri=self._uri)
        before.folder = self._folder
        self._state = before.model_copy(
            update={
                "facts": plain(facts),
                "tags": dict(tags or {}),
                "status": "running",
                "pending": True,
                "process": Process.current(),
            }
        )
        self._state.folder = self._folder
        self._pushed_rows = len(self._state.rows) if self._state.mlflow_run_id else 0
        self._state.save()
        self._try(self._start)

    def trial_ended(self, number: int, state: str, best: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """After each trial. The store is told every few seconds.

        Args:
            number: of the trial.
            state: done, pruned or failed.
            best: the best so far, by metric (`ndcg@10`); empty while there is none.
            counts: trials so far by state.
        """
        if self._state is None:
            return
        values = {f"best_{metric}": value for metric, value in best.items() if math.isfinite(value)}
        told = {f"trials_{name}": float(count) for name, count in counts.items()}
        self._state.rows.append({"step": float(number), "time": round(time.time(), 3), **told, **values})
        if time.monotonic() - self._pushed_at >= _SECONDS_BETWEEN_WRITES:
            self._state.save()
            self._try(self._send_rows)

    def end(self, ended: str, tags: Mapping[str, str] | None = None) -> None:
        """When the session ends, after the sweep's files were written: they are uploaded, and the run is closed.

        Args:
            ended: why: `failures` closes the run as failed, `stopped` as killed, every other as finished.
            tags: what is known only now, such as the winner.
        """
        if self._state is None:
            return
        status: SweepStatus = "failed" if ended == "failures" else "stopped" if ended == "stopped" else "done"
        self._state.status = status
        self._state.tags = {**self._state.tags, "hft.ended": ended, **(tags or {})}
        self._state.save()
        self._try(self._finish)

    def _start(self, manager: ExperimentsManager) -> None:
        assert self._state is not None
        _begin(manager, self._state)
        self._state.save()

    def _send_rows(self, manager: ExperimentsManager) -> None:
        assert self._state is not None
        assert self._state.mlflow_run_id is not None
        rows = self._state.rows[self._pushed_rows :]
        if rows:
            manager.log_rows(self._state.mlflow_run_id, rows)
        self._pushed_rows += len(rows)
        self._pushed_at = time.monotonic()

    def _finish(self, manager: ExperimentsManager) -> None:
        assert self._state is not None
        self._send_rows(manager)
        _close(manager, self._state)

    def _try(self, call: Callable[[ExperimentsManager], object]) -> None:
        if self._given_up or self._uri is None or self._state is None:
            return
        try:
            manager = manager_for(self._uri)
            reason = manager.why_away(ask_again=False)
            if reason is None:
                call(manager)
                return
        except Exception as error:  # whatever tracking meets, a sweep must not end for it
            reason = str(error)
        self._given_up = True
        self._state.reason = reason
        self._state.save()
        self._notify(f"Tracking of the sweep: {reason}. The sweep goes on. Push it later with: hft runs --sync")


def push_sweep(manager: ExperimentsManager, state: SweepTracking) -> None:
    """Pushes a sweep's run from its folder, as `hft runs --sync` does. Harmless to repeat.

    Raises:
        TrackingError: the store is away or refuses.
        StorageError: the folder cannot be written.
    """
    state.status = state.status_now
    _begin(manager, state)
    assert state.mlflow_run_id is not None
    manager.log_rows(state.mlflow_run_id, state.rows)
    _close(manager, state)


def upload_model(record: RunRecord, own: Collection[str], notify: Notify) -> None:
    """Tells the store of a sweep's winner once it was measured on test: its values, report, pictures and model.

    Nothing for a run that is not tracked in one of the user's stores: a sweep may be somebody else's. Where the store
    is away the record is marked as pending.

    Args:
        record: of the winner, with its values on test.
        own: addresses of the user's own stores.
        notify: shows a line to the user.
    """
    if record.tracking.kind != "mlflow" or record.tracking.uri is None:
        return
    if absolute_uri(record.tracking.uri) not in own:
        return
    try:
        manager = manager_for(record.tracking.uri)
        reason = manager.why_away()
        if reason is None:
            mlflow_run_id = push_start(manager, record)
            record.tracking = record.tracking.model_copy(update={"mlflow_run_id": mlflow_run_id})
            steps = record.folder / STEPS_NAME
            push_end(manager, record, mlflow_run_id, read_steps(steps)[-1:] if steps.is_file() else [])
            return
    except Exception as error:  # the search is done; a store that refuses must not make it fail
        reason = str(error)
    leave_pending(record, reason)
    notify(f"Tracking: {reason}. The winner is in {record.folder}. Push it later with: hft runs --sync")


def _begin(manager: ExperimentsManager, state: SweepTracking) -> None:
    method, _, iteration = state.experiment.partition("/")
    tags = {"hft.method": method, "hft.iteration": iteration, "hft.kind": "sweep", "hft.sweep_name": state.sweep}
    state.mlflow_run_id = manager.start_sweep(
        state.experiment, state.sweep_id, name=Path(state.sweep).name, config=state.facts, tags={**tags, **state.tags}
    )


def _close(manager: ExperimentsManager, state: SweepTracking) -> None:
    assert state.mlflow_run_id is not None
    for name in SWEEP_FILES:
        file = state.folder / name
        if file.is_file():
            manager.log_files(state.mlflow_run_id, file, None if file.parent == state.folder else "conf/winner")
    if (state.folder / PICTURES_NAME).is_dir():
        manager.log_files(state.mlflow_run_id, state.folder / PICTURES_NAME, PICTURES_NAME)
    manager.adopt(state.experiment, state.sweep, state.mlflow_run_id)
    manager.end_run(state.mlflow_run_id, _STATUS[state.status], state.tags)
    state.pending, state.reason = False, None
    state.save()
