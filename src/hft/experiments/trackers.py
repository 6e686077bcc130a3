"""What follows a run while it goes: an MLflow store, a CSV file. None of them can stop a training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hft.experiments.manager import ExperimentsManager, manager_for
from hft.experiments.metrics_csv import write_metrics_csv
from hft.experiments.projection import experiment_name, leave_pending, logs_models, push_end, push_start
from hft.experiments.run_folder import METRICS_NAME
from hft.experiments.run_record import RunRecord, Tracking
from hft.experiments.steps import repeatable
from hft.experiments.store import absolute_uri, check_uri, note_server

Notify = Callable[[str], None]

_SECONDS_BETWEEN_SENDS = 10.0

# Sweeps whose store was said to be away: once is enough for all their trials.
_TOLD_OF: set[str] = set()


class Tracker(Protocol):
    """Follows one run. The run's record and steps file are written before any of these is called."""

    def start(self) -> None:
        """Before step 1."""

    def initial_model(self, save: Callable[[Path], object]) -> None:
        """The model that the run starts from; `save` writes it into a folder."""

    def row(self, row: Mapping[str, Any]) -> None:
        """One row of steps.jsonl. Costs no input or output."""

    def flush(self) -> None:
        """At a validation: passes on the rows so far."""

    def finish(self) -> None:
        """After the last word of the record."""


def check_tracking(tracking: Mapping[str, Any]) -> None:
    """Refuses a tracking node that names no store, before anything is made.

    Raises:
        ConfigError: naming `tracking.uri`.
    """
    if tracking.get("kind", "csv") == "mlflow":
        check_uri(str(tracking.get("uri")))


def own_stores(tracking: Mapping[str, Any]) -> frozenset[str]:
    """Address of the store that a user's config names, or none: the only one to which their search pushes.

    Args:
        tracking: the node of the config.
    """
    is_store = tracking.get("kind", "csv") == "mlflow"
    return frozenset({absolute_uri(str(tracking["uri"]))} if is_store else ())


def open_tracker(record: RunRecord, tracking: Mapping[str, Any], notify: Notify) -> Tracker:
    """The tracker that the run's config asks for.

    Args:
        record: of the run; its `tracking` part is filled in.
        tracking: the node of the config.
        notify: shows one line to the user.

    Raises:
        ConfigError: `tracking.uri` is no address of a store.
    """
    check_tracking(tracking)
    if tracking.get("kind", "csv") == "mlflow":
        uri = str(tracking["uri"])
        note_server(uri)
        record.tracking = Tracking(kind="mlflow", uri=uri, experiment=experiment_name(record), pending=True)
        record.save()
        return MlflowTracker(record, manager_for(uri), notify)
    return CsvTracker(record)


class CsvTracker:
    """Keeps metrics.csv in the run's folder."""

    def __init__(self, record: RunRecord) -> None:
        self._path = record.folder / METRICS_NAME
        self._rows: list[Mapping[str, Any]] = []

    def start(self) -> None:
        """Nothing: the file comes with the first rows."""

    def initial_model(self, save: Callable[[Path], object]) -> None:
        """Nothing: there is no store to hold it."""

    def row(self, row: Mapping[str, Any]) -> None:
        """Keeps the row for the next flush."""
        self._rows.append(row)

    def flush(self) -> None:
        """Writes the table so far."""
        write_metrics_csv(self._rows, self._path)

    def finish(self) -> None:
        """Writes the whole table."""
        self.flush()


class MlflowTracker:
    """Passes a run on to an MLflow store, for as long as the store answers.

    The first time that it does not, one notice is shown, the record is marked as pending, and the store is left
    alone: a training never waits for a store twice, and the first time for a few seconds at most.
    """

    def __init__(self, record: RunRecord, manager: ExperimentsManager, notify: Notify) -> None:
        self._record = record
        self._manager = manager
        self._notify = notify
        self._rows: list[Mapping[str, Any]] = []
        self._sent = 0
        self._run_id: str | None = None
        self._given_up = False
        self._sent_at = 0.0

    def start(self) -> None:
        """Makes the run in the store."""
        self._try(self._start)

    def initial_model(self, save: Callable[[Path], object]) -> None:
        """Uploads the initial model unless the store has it."""
        fingerprint = self._record.hashes.get("base_model")
        if fingerprint and logs_models(self._record):
            self._try(lambda: self._manager.upload_initial_model(fingerprint, save))

    def row(self, row: Mapping[str, Any]) -> None:
        """Keeps the row for the next flush. Of a trial's steps the times stay in steps.jsonl alone: half the values."""
        self._rows.append(row if self._record.sweep is None else {**repeatable(row), "time": row["time"]})

    def flush(self) -> None:
        """Sends the rows that the store lacks; those of a trial, which may be short, every few seconds at most."""
        if self._record.sweep is not None and time.monotonic() - self._sent_at < _SECONDS_BETWEEN_SENDS:
            return
        self._try(self._send_rows)

    def finish(self) -> None:
        """Sends all that is left and closes the run in the store."""
        self._try(self._finish)

    def _start(self) -> None:
        self._sent_at = time.monotonic()
        self._run_id = push_start(self._manager, self._record, fresh=not self._record.resumed_at)
        self._record.tracking = self._record.tracking.model_copy(update={"mlflow_run_id": self._run_id})
        self._record.save()

    def _send_rows(self) -> None:
        if self._run_id is not None:
            self._manager.log_rows(self._run_id, self._rows[self._sent :])
            self._sent = len(self._rows)
            self._sent_at = time.monotonic()

    def _finish(self) -> None:
        if self._run_id is None:
            return
        # With the last row in any case: it says at which step the final values stand.
        rows = self._rows[min(self._sent, max(len(self._rows) - 1, 0)) :]
        push_end(self._manager, self._record, self._run_id, rows)

    def _try(self, call: Callable[[], object]) -> None:
        if self._given_up:
            return
        try:
            reason = self._manager.why_away(ask_again=self._record.sweep is None)
            if reason is None:
                call()
                return
        except Exception as error:  # whatever tracking meets, a training must not end for it
            reason = str(error)
        self._given_up = True
        leave_pending(self._record, reason)
        if self._record.sweep is not None:
            if self._record.sweep in _TOLD_OF:
                return
            _TOLD_OF.add(self._record.sweep)
        self._notify(
            f"Tracking: {reason}. The run goes on and is recorded in {self._record.folder}. "
            "Push it later with: hft runs --sync"
        )
