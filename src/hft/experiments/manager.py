"""ExperimentsManager: an MLflow experiment an iteration, a run a parameter set, models up and down."""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hft.errors import RunNotFoundError
from hft.experiments.plain import flatten
from hft.experiments.run_folder import MODEL_NAME, RECORD_NAME
from hft.experiments.store import absolute_uri, artifact_root, check_uri, open_client, tracking_errors
from hft.experiments.tracked_result import (
    RUN_ID_TAG,
    TrackedResult,
    metric_name,
    param_name,
    result_of,
    typed_params,
    value_of,
)
from hft.files import atomic_folder
from hft.settings import FineTuningParams

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

INITIAL_MODELS = "hft/initial_models"
COMPLETE_TAG = "hft.complete"
BASE_MODEL_TAG = "hft.base_model_hash"

Direction = Literal["maximize", "minimize"]

# MLflow's limits on one request.
_METRICS_A_BATCH = 1000
_PARAMS_A_BATCH = 100
_LONGEST_PARAM = 6000

_MANAGERS: dict[tuple[int, str], ExperimentsManager] = {}
_MANAGERS_LOCK = threading.Lock()


class ExperimentsManager:
    """The tracking store, in hft's words. Opened at the first use; mlflow is imported then.

    Args:
        uri: of the MLflow store. Artifacts of an SQLite store lie in `mlartifacts` beside its file.
        patient: waits for a slow server for a minute a request instead of seconds.

    Raises:
        ConfigError: the uri is no address of a store.
        TrackingError: (every method) the store is away or refuses.
    """

    def __init__(self, uri: str = "sqlite:///outputs/mlflow.db", *, patient: bool = False) -> None:
        check_uri(uri)
        self.uri = absolute_uri(uri)
        self.patient = patient
        self._client: MlflowClient | None = None

    def start_run(
        self,
        experiment: str,
        run_id: str,
        *,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Makes the MLflow run of an hft run, or finds it where it was made before.

        Args:
            experiment: name of the experiment, one an iteration; made where it does not exist.
            run_id: hft's id of the run; a tag holds it, so that pushing twice makes one run.
            name: shown in MLflow.
            config: resolved; its leaves become params, values as JSON.
            tags: more tags.

        Returns:
            MLflow's id of the run.
        """
        with self._calls() as client:
            experiment_id = self._experiment_id(client, experiment)
            found = client.search_runs([experiment_id], f"tags.`{RUN_ID_TAG}` = '{run_id}'", max_results=1)
            if found:
                mlflow_run_id = str(found[0].info.run_id)
                client.set_tag(mlflow_run_id, COMPLETE_TAG, "false")
            else:
                all_tags = {**(tags or {}), RUN_ID_TAG: run_id, COMPLETE_TAG: "false"}
                created = client.create_run(experiment_id, run_name=name, tags=all_tags)
                mlflow_run_id = str(created.info.run_id)
            self._log_params(client, mlflow_run_id, config or {})
        return mlflow_run_id

    def log_rows(self, mlflow_run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Logs rows of steps.jsonl in batches. Rows that the store has already are not doubled.

        Args:
            mlflow_run_id: MLflow's id of the run.
            rows: each with `step` and `time` (seconds since 1970), then numbers by name.
        """
        with self._calls() as client:
            from mlflow.entities import Metric

            metrics = [
                Metric(metric_name(name), float(value), int(row.get("time", 0.0) * 1000), int(row["step"]))
                for row in rows
                for name, value in row.items()
                if name not in ("step", "time") and _is_number(value)
            ]
            for batch in _batches(metrics, _METRICS_A_BATCH):
                client.log_batch(mlflow_run_id, metrics=batch, synchronous=True)

    def log_files(self, mlflow_run_id: str, path: Path, folder: str | None = None) -> None:
        """Uploads a file, or the contents of a folder, into the run's artifacts (into `folder` there)."""
        with self._calls() as client:
            if path.is_dir():
                client.log_artifacts(mlflow_run_id, str(path), folder)
            else:
                client.log_artifact(mlflow_run_id, str(path), folder)

    def end_run(self, mlflow_run_id: str, status: str, tags: Mapping[str, str]) -> None:
        """Closes the run with MLflow's `status` (FINISHED, FAILED, KILLED) and marks it complete."""
        with self._calls() as client:
            for key, value in {**tags, COMPLETE_TAG: "true"}.items():
                client.set_tag(mlflow_run_id, key, value)
            client.set_terminated(mlflow_run_id, status)

    def upload_initial_model(self, fingerprint: str, save: Callable[[Path], object]) -> str:
        """Uploads the model that runs start from, once for all runs.

        Args:
            fingerprint: hash of its weights: a model with the same one is not uploaded again.
            save: writes the model into the folder that it is given; called only where it is needed.

        Returns:
            MLflow's id of the run whose artifact `model` it is.
        """
        with self._calls() as client:
            experiment_id = self._experiment_id(client, INITIAL_MODELS)
            known = client.search_runs(
                [experiment_id],
                f"tags.`{BASE_MODEL_TAG}` = '{fingerprint}' and tags.`{COMPLETE_TAG}` = 'true'",
                max_results=1,
            )
            if known:
                return str(known[0].info.run_id)
            run = client.create_run(experiment_id, run_name=fingerprint[:12], tags={BASE_MODEL_TAG: fingerprint})
            run_id = str(run.info.run_id)
            with tempfile.TemporaryDirectory(prefix="hft-initial-") as scratch:
                folder = Path(scratch) / MODEL_NAME
                save(folder)
                client.log_artifacts(run_id, str(folder), MODEL_NAME)
            client.set_tag(run_id, COMPLETE_TAG, "true")
            client.set_terminated(run_id, "FINISHED")
        return run_id

    def finished_runs(self, experiment: str, metric: str) -> list[TrackedResult]:
        """Runs of an experiment that ended well and have a value of `metric` that is a number, in any order.

        Args:
            experiment: its name.
            metric: as logged (`validation_ndcg@10`); a bare main metric (`ndcg@10`) means its validation value.

        Raises:
            RunNotFoundError: no such experiment.
        """
        with self._calls() as client:
            found = client.get_experiment_by_name(experiment)
            if found is None:
                raise RunNotFoundError(f"{self.uri}: has no experiment {experiment!r}.")
            runs = list(_all_runs(client, [found.experiment_id], "attributes.status = 'FINISHED'"))
        results = []
        for run in runs:
            value = value_of(run.data.metrics, metric)
            if value is not None and not math.isnan(value):
                results.append(result_of(run, value))
        return results

    def best_run(self, experiment: str, main_metric: str, direction: Direction) -> TrackedResult:
        """The finished run of an experiment with the best last value of the main metric.

        Of equal ones the one whose MLflow id comes first in the alphabet, so that the answer does not change.

        Raises:
            RunNotFoundError: the experiment does not exist, or none of its runs has such a value.
        """
        runs = self.finished_runs(experiment, main_metric)
        if not runs:
            raise RunNotFoundError(
                f"{self.uri}: no finished run of the experiment {experiment!r} has a value of {main_metric!r}."
            )
        sign = -1.0 if direction == "maximize" else 1.0
        return min(runs, key=lambda run: (sign * run.value, run.mlflow_run_id))

    def params_of(self, mlflow_run_id: str) -> FineTuningParams:
        """Parameters of a run, typed again.

        Raises:
            DataError: what the store holds are no valid parameters.
        """
        with self._calls() as client:
            return typed_params(client.get_run(mlflow_run_id))

    def download_model(self, mlflow_run_id: str, destination: str | os.PathLike[str]) -> Path:
        """Downloads the model of a run into a folder that is there whole or not at all.

        Raises:
            RunNotFoundError: the run has no model in the store.
        """
        return self._download(mlflow_run_id, MODEL_NAME, Path(destination))

    def download_run(self, mlflow_run_id: str, destination: str | os.PathLike[str]) -> Path:
        """Downloads all artifacts of a run, the model included, which gives its run folder again.

        Raises:
            RunNotFoundError: the store has no record of such a run.
        """
        return self._download(mlflow_run_id, RECORD_NAME, Path(destination), whole=True)

    def run_ids(self, prefix: str) -> list[str]:
        """MLflow ids of all runs that begin with `prefix`."""
        with self._calls() as client:
            experiments = [experiment.experiment_id for experiment in client.search_experiments()]
            runs = _all_runs(client, experiments, "")
            return sorted(str(run.info.run_id) for run in runs if run.info.run_id.startswith(prefix))

    def _download(self, mlflow_run_id: str, needed: str, destination: Path, *, whole: bool = False) -> Path:
        with self._calls() as client:
            names = {file.path for file in client.list_artifacts(mlflow_run_id)}
            if needed not in names:
                raise RunNotFoundError(
                    f"{self.uri}: the run {mlflow_run_id} has no artifact {needed!r}. "
                    "It was not uploaded (tracking.log_model=false), or was removed since."
                )
            with atomic_folder(destination) as folder:
                source = client.download_artifacts(mlflow_run_id, "" if whole else needed, str(folder))
                _move_up(Path(source), folder)
        return destination

    @contextmanager
    def _calls(self) -> Iterator[MlflowClient]:
        with tracking_errors(self.uri, patient=self.patient):
            if self._client is None:
                self._client = open_client(self.uri)
            yield self._client

    def _experiment_id(self, client: MlflowClient, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(name)
        if found is None:
            root = artifact_root(self.uri)
            try:
                return str(client.create_experiment(name, None if root is None else root.as_uri()))
            except MlflowException:
                found = client.get_experiment_by_name(name)  # another process was quicker
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _log_params(self, client: MlflowClient, mlflow_run_id: str, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        known = client.get_run(mlflow_run_id).data.params
        params = []
        for key, value in flatten(config).items():
            name, text = param_name(key), json.dumps(value)[:_LONGEST_PARAM]
            if name not in known and len(name) <= 250:
                params.append(Param(name, text))
        for batch in _batches(params, _PARAMS_A_BATCH):
            client.log_batch(mlflow_run_id, params=batch, synchronous=True)


def manager_for(uri: str) -> ExperimentsManager:
    """The one manager of a store in this process: opening a store costs about a second, and a sweep has many trials.

    Raises:
        ConfigError: the uri is no address of a store.
    """
    check_uri(uri)
    # A forked child must not share its parent's connections.
    key = (os.getpid(), absolute_uri(uri))
    with _MANAGERS_LOCK:
        if key not in _MANAGERS:
            _MANAGERS[key] = ExperimentsManager(uri)
        return _MANAGERS[key]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _batches(entities: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(entities), size):
        yield entities[start : start + size]


def _all_runs(client: MlflowClient, experiment_ids: list[str], query: str) -> Iterator[Run]:
    token: str | None = None
    while experiment_ids:
        page = client.search_runs(experiment_ids, query, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _move_up(source: Path, folder: Path) -> None:
    """Moves what MLflow put into a subfolder of `folder` up into `folder` itself."""
    if source.resolve() == folder.resolve():
        return
    for entry in list(source.iterdir()):
        entry.rename(folder / entry.name)
    source.rmdir()
