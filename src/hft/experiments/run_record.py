"""run.yaml: what a run was asked to do and in what surroundings, written before step 1, and then what came out."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PrivateAttr, ValidationError

from hft.checksums import read_sealed, sealed_yaml
from hft.errors import DataError, RunNotFoundError
from hft.experiments.environment import Environment
from hft.experiments.plain import plain
from hft.experiments.process import Process
from hft.experiments.record_fields import Count, Moment, RecordedConfig, RunId, Text
from hft.experiments.run_folder import MODEL_NAME, RECORD_NAME, STEPS_NAME
from hft.experiments.steps import read_steps, steps_hash
from hft.files import atomic_write, sha256_folder
from hft.parsing import check_size, parse_yaml
from hft.redaction import completed, redacted_values

SCHEMA_VERSION = 1

Status = Literal["running", "done", "pruned", "failed", "interrupted"]


class Tracking(BaseModel):
    """Where the run is tracked beside its folder.

    Args:
        kind: `mlflow` or `csv`.
        uri: the MLflow store; written down without a password, which the environment completes (MLFLOW_TRACKING_URI).
        experiment: name of the MLflow experiment.
        mlflow_run_id: id of the run there, once it exists.
        pending: whether the store still lacks a part; `hft runs --sync` pushes it.
        reason: why it is pending, in words.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["mlflow", "csv"] = "csv"
    uri: Text | None = None
    experiment: Text | None = None
    mlflow_run_id: RunId | None = None
    pending: bool = False
    reason: Text | None = None


class Results(BaseModel):
    """The second half of the record.

    Args:
        finished: UTC, ISO 8601.
        metrics: final values by name; a name carries its split (`test_ndcg@10`, `test_ndcg@10_start`).
        weights: SHA-256 over the tuned model's safetensors files.
        steps: SHA-256 over the values of steps.jsonl, times left out.
        num_steps: rows of steps.jsonl.
        seconds: by phase (`data`, `model`, `training`, `evaluation`, ...) and `total`.
        error: why the run failed or was pruned, in words.
    """

    model_config = ConfigDict(extra="forbid")

    finished: Moment | None = None
    metrics: dict[str, float] = {}
    weights: str | None = None
    steps: str | None = None
    num_steps: Count | None = None
    seconds: dict[str, FiniteFloat] = {}
    error: Text | None = None


class RunRecord(BaseModel):
    """One run. The first half says what was asked and with what; `status`, `results` and `tracking` come later.

    Args:
        schema_version: of this file's layout.
        run_id: 32 hexadecimal digits, made by hft; no two runs share it.
        name: as the user named the run.
        started: UTC, ISO 8601.
        overrides: as given on the command line or to `hft.compose`.
        choices: option of each config group.
        config: the resolved config: what every key was.
        config_unresolved: the config with its interpolations, from which a variation starts.
        environment: seed, threads, precision, kernels.
        versions: of Python and packages.
        hardware: of the machine.
        hashes: `data` (splits and items) and `base_model` (weights before step 1).
        texts: how the model's texts are made of records, as plain values (hft.data.text_declaration); None of a source
            without records, and in a record from before runs said so.
        parent: id of the run whose model this one started from.
        process: the process that runs or ran it, to tell a killed run from a running one.
        reproduces: id of the run that this one repeats.
        varies: id of the run from whose config this one started, with changes.
        sweep: name of the sweep that this run is a trial of: its folder, from `outputs` on.
        trial: number of the trial in it, from 0.
        learns_from: what says which items are relevant to a query in training (labels, logged or simulated clicks), in
            words; None in a record from before runs said so.
        resumed_at: optimizer steps that were done each time that it was resumed.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    run_id: RunId = Field(default_factory=lambda: uuid.uuid4().hex)
    name: Text | None = None
    started: Moment = Field(default_factory=lambda: utc_now())
    status: Status = "running"
    overrides: list[Text] = []
    choices: dict[str, str | bool | int | float | list[Any] | None] = {}
    environment: Environment = Environment()
    versions: dict[str, str] = {}
    hardware: dict[str, Any] = {}
    hashes: dict[str, str] = {}
    texts: dict[str, Any] | None = None
    parent: RunId | None = None
    reproduces: RunId | None = None
    varies: RunId | None = None
    sweep: Text | None = None
    trial: Count | None = None
    learns_from: Text | None = None
    resumed_at: Annotated[list[Count], Field(max_length=10_000)] = []
    process: Process = Process()
    tracking: Tracking = Tracking()
    results: Results = Results()
    config: RecordedConfig = {}
    config_unresolved: dict[str, Any] = {}

    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        if self._folder is None:
            raise RunNotFoundError(f"run {self.run_id} has no folder: its record was not read from one")
        return self._folder

    @folder.setter
    def folder(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)

    @property
    def method(self) -> str:
        """Name of the method, `?` where the config names none."""
        return str(_at(self.config, "method", "meta", "name") or "?")

    @property
    def iteration(self) -> str:
        """Name of the iteration."""
        return str(_at(self.config, "iteration", "name") or "initial")

    @property
    def status_now(self) -> Status:
        """`status`, where a run whose process has died (kill -9, a power cut) is `interrupted`."""
        if self.status == "running" and not self.process.may_be_alive():
            return "interrupted"
        return self.status

    @property
    def has_test_values(self) -> bool:
        """Whether test was read: of a search's trials it was for the winner alone."""
        return any(name.startswith("test_") for name in self.results.metrics)

    @property
    def main_metric(self) -> str | None:
        """Name of the metric that the run was chosen by, without its split (`ndcg@10`)."""
        name = _at(self.config, "method", "main_metric")
        return None if name is None else str(name)

    def finish(
        self,
        status: Status,
        *,
        metrics: Mapping[str, float] | None = None,
        seconds: Mapping[str, float] | None = None,
        error: str | None = None,
    ) -> None:
        """Writes the second half: hashes what lies in the folder by now (steps, model) and saves.

        Args:
            status: how the run ended.
            metrics: final values by name; see `metrics_of_report`.
            seconds: by phase; `total`, since the first half, is added where it is missing.
            error: why it failed or was pruned, in words.

        Raises:
            StorageError: the record cannot be written.
        """
        steps, model = self.folder / STEPS_NAME, self.folder / MODEL_NAME
        rows = read_steps(steps) if steps.is_file() else []
        total = (datetime.now(UTC) - datetime.fromisoformat(self.started)).total_seconds()
        self.status = status
        self.results = Results(
            finished=utc_now(),
            metrics={name: float(value) for name, value in (metrics or {}).items()},
            weights=weights_hash(model) if model.is_dir() else None,
            steps=steps_hash(rows),
            num_steps=len(rows),
            seconds={"total": round(total, 3), **{phase: float(value) for phase, value in (seconds or {}).items()}},
            error=error,
        )
        self.save()

    def save(self) -> None:
        """Writes the record into its folder, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        content = redacted_values(plain(self.model_dump()))
        text = yaml.dump(content, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=4096)
        with atomic_write(self.folder / RECORD_NAME) as file:
            file.write(sealed_yaml(text))


def load_record(path: str | os.PathLike[str]) -> RunRecord:
    """Reads a run's record.

    Args:
        path: the run's folder, or its run.yaml.

    Raises:
        RunNotFoundError: there is no record.
        DataError: the file is not a record, or a newer hft wrote it; a DamagedError: it is not what was written.
    """
    path = Path(path)
    file = path if path.suffix == ".yaml" else path / RECORD_NAME
    try:
        check_size(file)
        content = parse_yaml(read_sealed(file))
    except FileNotFoundError as error:
        raise RunNotFoundError(f"{file}: there is no such run record.") from error
    except (OSError, ValueError) as error:
        raise _broken(file, _in_one_line(error)) from error
    if not isinstance(content, dict) or type(content.get("schema_version")) is not int:
        raise _broken(file, "it has no schema_version")
    if content["schema_version"] > SCHEMA_VERSION:
        raise DataError(
            f"{file}: was written by a newer hft (schema {content['schema_version']}; this hft reads up to "
            f"{SCHEMA_VERSION}). Upgrade hft to read it."
        )
    try:
        record = RunRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _broken(file, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    missing = [key for key in ("run_id", "started") if key not in content]
    if missing:
        raise _broken(file, f"it has no {missing[0]}")
    if record.tracking.uri is not None:
        record.tracking.uri = completed(record.tracking.uri)
    record.folder = file.parent
    return record


def weights_hash(model_folder: str | os.PathLike[str]) -> str:
    """SHA-256 over the names and contents of a model folder's safetensors files."""
    return sha256_folder(model_folder, ["**/*.safetensors"])


def utc_now() -> str:
    """The time, UTC, ISO 8601 to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _dumper() -> type[Any]:
    return getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _at(settings: Mapping[str, Any], *keys: str) -> Any:
    value: Any = settings
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _broken(file: Path, reason: str) -> DataError:
    return DataError(
        f"{file}: is not a run record that can be read: {reason}. "
        "It was cut off or changed by hand; restore it from a copy or from the tracking store."
    )


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
