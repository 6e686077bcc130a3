"""run.yaml: what a run was asked to do and in what surroundings, written before step 1, and then what came out."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from hft.errors import DataError, RunNotFoundError
from hft.experiments.environment import (
    Environment,
    describe_environment,
    describe_hardware,
    installed_versions,
)
from hft.experiments.plain import plain
from hft.experiments.process import Process
from hft.experiments.run_folder import RECORD_NAME
from hft.files import atomic_write, sha256_folder

SCHEMA_VERSION = 1

Status = Literal["running", "done", "failed", "interrupted"]


class Tracking(BaseModel):
    """Where the run is tracked beside its folder.

    Args:
        kind: `mlflow` or `csv`.
        uri: the MLflow store.
        experiment: name of the MLflow experiment.
        mlflow_run_id: id of the run there, once it exists.
        pending: whether the store still lacks a part; `hft runs --sync` pushes it.
        reason: why it is pending, in words.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["mlflow", "csv"] = "csv"
    uri: str | None = None
    experiment: str | None = None
    mlflow_run_id: str | None = None
    pending: bool = False
    reason: str | None = None


class Results(BaseModel):
    """The second half of the record.

    Args:
        finished: UTC, ISO 8601.
        metrics: final values by name; a name carries its split (`test_ndcg@10`, `test_ndcg@10_start`).
        weights: SHA-256 over the tuned model's safetensors files.
        steps: SHA-256 over the values of steps.jsonl, times left out.
        num_steps: rows of steps.jsonl.
        seconds: by phase (`data`, `model`, `training`, `evaluation`, ...) and `total`.
        error: why the run failed, in words.
    """

    model_config = ConfigDict(extra="forbid")

    finished: str | None = None
    metrics: dict[str, float] = {}
    weights: str | None = None
    steps: str | None = None
    num_steps: int | None = None
    seconds: dict[str, float] = {}
    error: str | None = None


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
        parent: id of the run whose model this one started from.
        process: the process that runs or ran it, to tell a killed run from a running one.
        reproduces: id of the run that this one repeats.
        varies: id of the run from whose config this one started, with changes.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    run_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    name: str | None = None
    started: str = Field(default_factory=lambda: utc_now())
    status: Status = "running"
    overrides: list[str] = []
    choices: dict[str, Any] = {}
    environment: Environment = Environment()
    versions: dict[str, str] = {}
    hardware: dict[str, Any] = {}
    hashes: dict[str, str] = {}
    parent: str | None = None
    reproduces: str | None = None
    varies: str | None = None
    process: Process = Process()
    tracking: Tracking = Tracking()
    results: Results = Results()
    config: dict[str, Any] = {}
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
    def main_metric(self) -> str | None:
        """Name of the metric that the run was chosen by, without its split (`ndcg@10`)."""
        name = _at(self.config, "method", "main_metric")
        return None if name is None else str(name)

    def save(self) -> None:
        """Writes the record into its folder, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        with atomic_write(self.folder / RECORD_NAME) as file:
            yaml.safe_dump(plain(self.model_dump()), file, sort_keys=False, allow_unicode=True, width=4096)


def open_record(
    config: Mapping[str, Any],
    folder: str | os.PathLike[str],
    *,
    hashes: Mapping[str, str],
    precision: str | None,
    accelerator: str | None,
    choices: Mapping[str, Any] | None = None,
    overrides: Sequence[str] | None = None,
    parent: str | None = None,
) -> RunRecord:
    """Writes the first half of a run's record, before step 1.

    Args:
        config: the composed config (a DictConfig, or a plain mapping without interpolations).
        folder: the run's folder.
        hashes: `data` and `base_model`.
        precision: as the Trainer got it, after `auto` was decided.
        accelerator: `cpu` or `gpu`.
        choices: option of each config group; None asks Hydra, where Hydra composed the config.
        overrides: as given; None asks Hydra.
        parent: id of the run whose model this one starts from.

    Raises:
        StorageError: the record cannot be written.
    """
    unresolved, resolved = _containers(config)
    hydra_choices, hydra_overrides = _asked_of_hydra()
    seed = resolved.get("seed")
    record = RunRecord(
        name=resolved.get("run_name"),
        overrides=list(hydra_overrides if overrides is None else overrides),
        choices=plain(hydra_choices if choices is None else choices),
        config=resolved,
        config_unresolved=unresolved,
        environment=describe_environment(seed, precision, accelerator),
        versions=installed_versions(),
        hardware=describe_hardware(),
        hashes=dict(hashes),
        parent=parent,
        process=Process.current(),
    )
    record.folder = folder
    record.save()
    return record


def load_record(path: str | os.PathLike[str]) -> RunRecord:
    """Reads a run's record.

    Args:
        path: the run's folder, or its run.yaml.

    Raises:
        RunNotFoundError: there is no record.
        DataError: the file is not a record, or a newer hft wrote it.
    """
    path = Path(path)
    file = path if path.suffix == ".yaml" else path / RECORD_NAME
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_loader())
    except FileNotFoundError as error:
        raise RunNotFoundError(f"{file}: there is no such run record.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _broken(file, _in_one_line(error)) from error
    if not isinstance(content, dict) or not isinstance(content.get("schema_version"), int):
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
    record.folder = file.parent
    return record


def weights_hash(model_folder: str | os.PathLike[str]) -> str:
    """SHA-256 over the names and contents of a model folder's safetensors files."""
    return sha256_folder(model_folder, ["**/*.safetensors"])


def utc_now() -> str:
    """The time, UTC, ISO 8601 to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _containers(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    from omegaconf import OmegaConf

    node = config if OmegaConf.is_config(config) else OmegaConf.create(dict(config))
    unresolved = plain(OmegaConf.to_container(node, resolve=False, enum_to_str=True))
    resolved = plain(OmegaConf.to_container(node, resolve=True, enum_to_str=True))
    for container in (unresolved, resolved):
        container.pop("hydra", None)
    return unresolved, resolved


def _asked_of_hydra() -> tuple[dict[str, Any], list[str]]:
    """Choices and overrides of the running Hydra job, if it is hft's own app."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return {}, []
    hydra = HydraConfig.get()
    if not any("hft.conf" in str(source.path) for source in hydra.runtime.config_sources):
        return {}, []
    choices = {group: choice for group, choice in hydra.runtime.choices.items() if "hydra/" not in group}
    return choices, list(hydra.overrides.task)


def _loader() -> type[Any]:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
