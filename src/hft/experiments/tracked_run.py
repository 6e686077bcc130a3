"""TrackedRun: all that a training tells the world, behind one door. First the run's own folder, then the store."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from hft.errors import HftError, StorageError, Terminated
from hft.experiments.opening import open_record
from hft.experiments.resuming import reopen
from hft.experiments.run_folder import STEPS_NAME
from hft.experiments.run_record import RunRecord, Status
from hft.experiments.steps import StepsWriter
from hft.experiments.trackers import Notify, Tracker, open_tracker
from hft.memory import out_of_memory


def open_run(
    config: Mapping[str, Any],
    folder: str | os.PathLike[str],
    *,
    hashes: Mapping[str, str],
    precision: str | None = None,
    accelerator: str | None = None,
    choices: Mapping[str, Any] | None = None,
    overrides: Sequence[str] | None = None,
    parent: str | None = None,
    reproduces: str | None = None,
    sweep: str | None = None,
    trial: int | None = None,
    learns_from: str | None = None,
    texts: Mapping[str, Any] | None = None,
    notify: Notify | None = None,
) -> TrackedRun:
    """Writes the first half of the record and begins to track. Call it before step 1.

    Args:
        config: the composed config.
        folder: the run's folder.
        hashes: fingerprints of the prepared `data` and of the `base_model`, its weights before step 1.
        precision: as the Trainer gets it, after `auto` was decided.
        accelerator: `cpu` or `gpu`, after `auto` was decided.
        choices: option of each config group; None asks Hydra, where it runs the job.
        overrides: as given; None asks Hydra.
        parent: id of the run whose model this one starts from.
        reproduces: id of the run that this one repeats.
        sweep, trial: name of the sweep that the run belongs to, and its number there.
        learns_from: what says which items are relevant to a query in training, in words.
        texts: how the model's texts are made of records, as plain values; None: nobody says.
        notify: shows a line to the user; None writes to the standard error stream.

    Raises:
        StorageError: the record cannot be written.
        ConfigError: `tracking.uri` is no address of a store.
        ReproductionError: the run repeats another one and cannot equal it.
    """
    record = open_record(
        config,
        folder,
        hashes=hashes,
        precision=precision,
        accelerator=accelerator,
        choices=choices,
        overrides=overrides,
        parent=parent,
        reproduces=reproduces,
        sweep=sweep,
        trial=trial,
        learns_from=learns_from,
        texts=texts,
    )
    return _begun(record, record.config, StepsWriter(record.folder / STEPS_NAME), notify)


def resume_run(
    record: RunRecord,
    config: Mapping[str, Any],
    *,
    hashes: Mapping[str, str],
    step: int,
    rows: int,
    notify: Notify | None = None,
) -> TrackedRun:
    """Goes on to track a run that was interrupted, in its folder and under its ids.

    Args:
        record: of the run.
        config: of the run, as it is now: where it is tracked.
        hashes: `data` and `base_model`, as they are now.
        step: optimizer steps that are done.
        rows: rows of steps.jsonl that stay: those of the steps that are done.
        notify: as in `open_run`.

    Raises:
        ConfigError: data or base model are others, or `tracking.uri` is no address of a store.
        StorageError: the record cannot be written.
    """
    reopen(record, hashes=hashes, step=step, notify=notify or _to_stderr)
    return _begun(record, config, StepsWriter(record.folder / STEPS_NAME, keep=rows), notify)


def _begun(record: RunRecord, config: Mapping[str, Any], steps: StepsWriter, notify: Notify | None) -> TrackedRun:
    tracker = open_tracker(record, config.get("tracking") or {}, notify or _to_stderr)
    run = TrackedRun(record, tracker, steps)
    tracker.start()
    for row in steps.rows:
        tracker.row(row)
    return run


class TrackedRun:
    """A run while it goes. Use it in a `with` block: what escapes the block is recorded as a failure.

    Args:
        record: of the run, its first half written.
        tracker: follows it.
        steps: writes its rows.
    """

    def __init__(self, record: RunRecord, tracker: Tracker, steps: StepsWriter) -> None:
        self.record = record
        self._tracker = tracker
        self._steps = steps

    @property
    def rows_written(self) -> int:
        """Rows of steps.jsonl."""
        return self._steps.count

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.record.folder

    def initial_model(self, save: Callable[[Path], object]) -> None:
        """Offers the model that the run starts from; `save(folder)` is called where the store lacks it."""
        self._tracker.initial_model(save)

    def log(self, row: Mapping[str, Any]) -> None:
        """Appends a row to steps.jsonl.

        Args:
            row: `step` (optimizer steps done), `epoch` (from 0), then numbers by name (`train_loss`, `items_lr`,
                `validation_ndcg@10`). Names that end in `_seconds`, `_per_second` or `_bytes` are not compared
                when the run is reproduced.

        Raises:
            StorageError: the row cannot be written.
        """
        self._tracker.row(self._steps.write(row))

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

    def prune(self, reason: str) -> None:
        """Writes down that a search stopped the run early, then passes all on to the store.

        Raises:
            StorageError: the record cannot be written.
        """
        self._close("pruned", error=reason)

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
        words = _in_words(error)
        try:
            self._close("interrupted" if stopped else "failed", error=words)
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
        self.record.finish(status, metrics=metrics, seconds=seconds, error=error)
        self._tracker.finish()


def _in_words(error: BaseException) -> str:
    memory = out_of_memory(error)
    if memory is not None or isinstance(error, HftError | Terminated):
        return str(memory or error)
    return f"{type(error).__name__}: {error}".strip(": ")


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
