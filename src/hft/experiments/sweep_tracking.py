"""tracking.json of a sweep's folder: the sweep's own run in the tracking store, and what the store may still lack."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from hft.checksums import read_sealed, sealed_json
from hft.errors import DamagedError, DataError
from hft.experiments.process import Process
from hft.experiments.run_folder import MODEL_NAME, PICTURES_NAME
from hft.experiments.run_record import RunRecord
from hft.files import atomic_write
from hft.parsing import check_size
from hft.redaction import completed, redacted_values

SWEEP_TRACKING_NAME = "tracking.json"

# A trial's folder lies in its sweep's, that of one of several trainings of a trial deeper.
_DEEPEST = 3

SweepStatus = Literal["running", "done", "failed", "stopped"]


class SweepTracking(BaseModel):
    """A sweep as the store is told of it. Written before the store, so that what it misses can be pushed later.

    Args:
        sweep_id: 32 hexadecimal digits; a sweep made anew in the same folder has another one.
        sweep: the name of the sweep in its runs' records.
        experiment: name of the MLflow experiment.
        uri: of the store.
        mlflow_run_id: of the sweep's run there, once it exists.
        status: how the sweep stands.
        facts: of the sweep, for the run's params.
        tags: of the run.
        rows: values over the trials: `step` (trial number), `time` (seconds since 1970), numbers by name.
        pending: whether the store still lacks a part; `hft runs --sync` pushes it.
        reason: why it is pending, in words.
        process: the process that runs or ran the sweep.
    """

    model_config = ConfigDict(extra="forbid")

    sweep_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    sweep: str
    experiment: str
    uri: str
    mlflow_run_id: str | None = None
    status: SweepStatus = "running"
    facts: dict[str, Any] = {}
    tags: dict[str, str] = {}
    rows: list[dict[str, float]] = []
    pending: bool = True
    reason: str | None = None
    process: Process = Process()

    _folder: Path = PrivateAttr(default=Path("."))

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return self._folder

    @folder.setter
    def folder(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)

    @property
    def status_now(self) -> SweepStatus:
        """`status`, where a sweep whose process has died is `stopped`."""
        if self.status == "running" and not self.process.may_be_alive():
            return "stopped"
        return self.status

    def save(self) -> None:
        """Writes the file, whole or not at all.

        Raises:
            StorageError: it cannot be written.
        """
        with atomic_write(self.folder / SWEEP_TRACKING_NAME) as file:
            file.write(sealed_json(redacted_values(self.model_dump(mode="json"))))


def load_sweep_tracking(folder: str | os.PathLike[str]) -> SweepTracking | None:
    """What a sweep's folder says of its tracking; None: nothing.

    Raises:
        DataError: the file cannot be read.
    """
    file = Path(folder) / SWEEP_TRACKING_NAME
    try:
        check_size(file)
        found = SweepTracking.model_validate_json(read_sealed(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, DamagedError) as error:
        raise DataError(f"{file}: cannot be read: {error}. Remove it: the sweep is tracked anew.") from error
    found.uri = completed(found.uri)
    found.folder = file.parent
    return found


def sweep_tracking_of(record: RunRecord) -> SweepTracking | None:
    """The tracking of the sweep that a run is a trial of; None: it is none, or its sweep is not tracked."""
    if record.sweep is None:
        return None
    for folder in record.folder.parents[:_DEEPEST]:
        try:
            found = load_sweep_tracking(folder)
        except DataError:
            return None  # a run is pushed without its sweep
        if found is not None:
            return found if found.sweep == record.sweep else None
    return None


def tracked_sweeps(outputs: str | os.PathLike[str]) -> list[Path]:
    """Folders of sweeps under `outputs` that are tracked, in alphabetical order."""
    skipped = {MODEL_NAME, PICTURES_NAME, "checkpoints", "mlartifacts"}
    found = []
    for folder, subfolders, files in os.walk(outputs):
        subfolders[:] = sorted(name for name in subfolders if name not in skipped and not name.startswith("."))
        if SWEEP_TRACKING_NAME in files:
            found.append(Path(folder))
    return found
