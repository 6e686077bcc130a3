"""The rows of `hft runs`: read from run.yaml alone, so that neither torch nor mlflow is waited for."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from hft.errors import HftError
from hft.experiments.run_folder import record_files
from hft.experiments.run_record import RunRecord, load_record

_STARTED = re.compile(rb"^started: '?([0-9T:.\-]+Z)", re.MULTILINE)
_HEAD_BYTES = 512
_TARGET = re.compile(r"^_target_: *(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class RunRow:
    """One run as `hft runs` shows it.

    Args:
        run_id: hft's id; None where the record is broken.
        folder: the run's folder.
        started: UTC, ISO 8601; of a broken record the time of its last change.
        status: running, done, pruned, failed, interrupted, or broken.
        method: its name.
        loss: option of the group; of a class that no shipped option names, the class.
        metric: the main metric's name.
        start: its test value of the starting model.
        tuned: its test value of the tuned model.
        p: of the difference.
        seconds: from the first half of the record to the end.
        mlflow_run_id: MLflow's id.
        pending: whether the tracking store lacks the run.
        reproduces: id of the run that this one repeats.
        problem: why the record is broken or the run failed, in words.
        name: as the user named the run.
        overrides: those that made it.
        sweep: name of the sweep that the run is a trial of.
        trial: its number there.
        trials: of a row that stands for a sweep: how many runs it stands for; else None.
        validation: its validation value of the tuned model.
        direction: `maximize` or `minimize`.
    """

    run_id: str | None
    folder: str
    started: str
    status: str
    method: str | None = None
    loss: str | None = None
    metric: str | None = None
    start: float | None = None
    tuned: float | None = None
    p: float | None = None
    seconds: float | None = None
    mlflow_run_id: str | None = None
    pending: bool = False
    reproduces: str | None = None
    problem: str | None = None
    name: str | None = None
    overrides: tuple[str, ...] = ()
    sweep: str | None = None
    trial: int | None = None
    trials: int | None = None
    validation: float | None = None
    direction: str = "maximize"


def list_runs(
    outputs: str | os.PathLike[str] = "outputs", limit: int | None = None, *, trials: bool = True
) -> list[RunRow]:
    """Runs under `outputs`, newest first. A broken record is a row that says so.

    Args:
        outputs: where runs land.
        limit: at most so many rows; None: all.
        trials: False: the trials of a sweep are one row, where its newest stands: its best trial's, with their number.
    """
    files = sorted(((_started(file), file) for file in record_files(outputs)), reverse=True)
    if trials:
        return [_row(started, file) for started, file in files[:limit]]
    rows: list[RunRow] = []
    places: dict[str, int] = {}
    members: dict[str, list[RunRow]] = {}
    for started, file in files:
        # Whether a run is a trial of a sweep that has a row already, its record alone says.
        row = _row(started, file)
        if row.sweep is None or row.trial is None:
            if limit is None or len(rows) < limit:
                rows.append(row)
        elif row.sweep in places:
            members[row.sweep].append(row)
        elif limit is None or len(rows) < limit:
            places[row.sweep], members[row.sweep] = len(rows), [row]
            rows.append(row)
    for sweep, place in places.items():
        rows[place] = _of_the_sweep(members[sweep])
    return rows


def _of_the_sweep(trials: list[RunRow]) -> RunRow:
    """One row for all trials of a sweep: its best one's; while none is done, its newest one's."""
    sign = -1.0 if trials[0].direction == "minimize" else 1.0
    done = [row for row in trials if row.status == "done" and row.validation is not None]
    best = max(done, key=lambda row: (sign * (row.validation or 0.0), row.started), default=trials[0])
    running = any(row.status == "running" for row in trials)
    status = "running" if running else best.status
    pending = any(row.pending for row in trials)
    return replace(best, status=status, trials=len(trials), pending=pending, started=trials[0].started)


def _row(started: str, file: Path) -> RunRow:
    try:
        record = load_record(file)
    except HftError as error:
        return RunRow(None, str(file.parent), started, "broken", problem=str(error))
    metric = record.main_metric
    metrics = record.results.metrics
    return RunRow(
        run_id=record.run_id,
        folder=str(record.folder),
        started=record.started,
        status=record.status_now,
        method=record.method,
        loss=_loss(record),
        metric=metric,
        start=metrics.get(f"test_{metric}_start"),
        tuned=metrics.get(f"test_{metric}"),
        p=metrics.get(f"test_{metric}_p"),
        seconds=record.results.seconds.get("total"),
        mlflow_run_id=record.tracking.mlflow_run_id,
        pending=record.tracking.pending,
        reproduces=record.reproduces,
        problem=record.results.error,
        name=record.name,
        overrides=tuple(record.overrides),
        sweep=record.sweep,
        trial=record.trial,
        validation=metrics.get(f"validation_{metric}"),
        direction=str((record.config.get("method") or {}).get("direction") or "maximize"),
    )


def _loss(record: RunRecord) -> str | None:
    if record.choices.get("loss"):
        return str(record.choices["loss"])
    loss = record.config.get("loss")
    target = loss.get("_target_") if isinstance(loss, dict) else None
    return None if target is None else _shipped_losses().get(str(target), str(target).rpartition(".")[2])


@cache
def _shipped_losses() -> dict[str, str]:
    """Option of the group by the class it names, so that a run composed in Python is shown as one of `hft train`."""
    options: dict[str, str] = {}
    for file in sorted((Path(__file__).parents[1] / "conf" / "loss").glob("*.yaml")):
        target = _TARGET.search(file.read_text(encoding="utf-8"))
        if target:
            options.setdefault(target.group(1), file.stem)
    return options


def _started(file: Path) -> str:
    """When the run started, from the first lines alone: sorting a thousand records must not parse them."""
    try:
        with open(file, "rb") as content:
            found = _STARTED.search(content.read(_HEAD_BYTES))
        if found:
            with suppress(ValueError):  # no moment: the record is shown as broken, where its file belongs
                datetime.fromisoformat(found.group(1).decode())
                return found.group(1).decode()
        changed = file.stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(changed, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
