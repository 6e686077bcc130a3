"""TrackedRun: all that a training tells the world, behind one door. First the run's own folder, then the store."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

from hft.errors import HftError, StorageError
from hft.experiments.run_folder import MODEL_NAME, STEPS_NAME
from hft.experiments.run_record import Results, RunRecord, Status, open_record, utc_now, weights_hash
from hft.experiments.steps import StepsWriter, read_steps, steps_hash
from hft.experiments.trackers import Notify, Tracker, open_tracker

# Looks at a record's first half before step 1 and may refuse to go on: set by a reproduction.
before_step_one: ContextVar[Callable[[RunRecord], None] | None] = ContextVar("before_step_one", default=None)


def open_run(
    config: Mapping[str, Any],
    folder: str | os.PathLike[str],
    *,
    data_hash: str,
    base_model_hash: str,
    precision: str | None = None,
    accelerator: str | None = None,
    choices: Mapping[str, Any] | None = None,
    overrides: Sequence[str] | None = None,
    parent: str | None = None,
    notify: Notify | None = None,
) -> TrackedRun:
    """Writes the first half of the record and begins to track. Call it before step 1.

    Args:
        config: the composed config.
        folder: the run's folder.
        data_hash: fingerprint of the prepared data.
        base_model_hash: fingerprint of the weights before step 1.
        precision: as the Trainer gets it, after `auto` was decided.
        accelerator: `cpu` or `gpu`, after `auto` was decided.
        choices: option of each config group; None asks Hydra, where it runs the job.
        overrides: as given; None asks Hydra.
        parent: id of the run whose model this one starts from.
        notify: shows a line to the user; None writes to the standard error stream.

    Raises:
        StorageError: the record cannot be written.
        ConfigError: `tracking.uri` is no address of a store.
        ReproductionError: the run repeats another one and cannot equal it.
    """
    hashes = {"data": data_hash, "base_model": base_model_hash}
    record = open_record(
        config,
        folder,
        hashes=hashes,
        precision=precision,
        accelerator=accelerator,
        choices=choices,
        overrides=overrides,
        parent=parent,
    )
    look = before_step_one.get()
    if look is not None:
        try:
            look(record)
        except HftError as error:
            _close_record(record, "failed", error=str(error))
            raise
    tracker = open_tracker(record, notify or _to_stderr)
    run = TrackedRun(record, tracker)
    tracker.start()
    return run


class TrackedRun:
    """A run while it goes. Use it in a `with` block: what escapes the block is recorded as a failure.

    Args:
        record: of the run, its first half written.
        tracker: follows it.
    """

    def __init__(self, record: RunRecord, tracker: Tracker) -> None:
        self.record = record
        self._tracker = tracker
        self._steps = StepsWriter(record.folder / STEPS_NAME)
        self._began = time.perf_counter()

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.record.folder

    def initial_model(self, save: Callable[[Path], object]) -> None:
        """Offers the model that the run starts from; `save(folder)` is called where the store lacks it."""
        self._tracker.initial_model(save)

    def log(self, step: int, epoch: int, values: Mapping[str, Any]) -> None:
        """Appends a row to steps.jsonl.

        Args:
            step: optimizer steps done.
            epoch: from 0.
            values: numbers by name (`train_loss`, `items_lr`, `validation_ndcg@10`). Names that end in
                `_seconds`, `_per_second` or `_bytes` are not compared when the run is reproduced.

        Raises:
            StorageError: the row cannot be written.
        """
        self._tracker.row(self._steps.write({"step": step, "epoch": epoch, **values}))

    def flush(self) -> None:
        """Passes the rows so far on to the store. Call it after a validation."""
        self._tracker.flush()

    def finish(
        self,
        metrics: Mapping[str, float],
        *,
        seconds: Mapping[str, float] | None = None,
    ) -> RunRecord:
        """Writes the second half of the record, then passes all on to the store. The model is saved by then.

        Args:
            metrics: final values by name; see `metrics_of_report`.
            seconds: by phase; `total` is added where it is missing.

        Raises:
            StorageError: the record cannot be written.
        """
        self._close("done", metrics=metrics, seconds=seconds)
        return self.record

    def __enter__(self) -> TrackedRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.record.status != "running":
            return
        if error is None:
            self._close("failed", error="the training ended without its results")
            return
        stopped = not isinstance(error, Exception)  # Ctrl-C, SystemExit
        try:
            self._close("interrupted" if stopped else "failed", error=f"{type(error).__name__}: {error}".strip(": "))
        except StorageError as second:  # the first error tells more, and the disk may be what it is about
            print(second, file=sys.stderr)

    def _close(
        self,
        status: Status,
        *,
        metrics: Mapping[str, float] | None = None,
        seconds: Mapping[str, float] | None = None,
        error: str | None = None,
    ) -> None:
        self._steps.close()
        total = {"total": round(time.perf_counter() - self._began, 3)}
        _close_record(self.record, status, metrics=metrics, seconds={**total, **(seconds or {})}, error=error)
        self._tracker.finish()


def _close_record(
    record: RunRecord,
    status: Status,
    *,
    metrics: Mapping[str, float] | None = None,
    seconds: Mapping[str, float] | None = None,
    error: str | None = None,
) -> None:
    steps, model = record.folder / STEPS_NAME, record.folder / MODEL_NAME
    rows = read_steps(steps) if steps.is_file() else []
    record.status = status
    record.results = Results(
        finished=utc_now(),
        metrics={name: float(value) for name, value in (metrics or {}).items()},
        weights=weights_hash(model) if model.is_dir() else None,
        steps=steps_hash(rows),
        num_steps=len(rows),
        seconds={phase: float(value) for phase, value in (seconds or {}).items()},
        error=error,
    )
    record.save()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
