"""ExperimentsManager: an MLflow experiment an iteration, a run a parameter set, models up and down."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hft.errors import RunNotFoundError
from hft.experiments.run_folder import MODEL_NAME, RECORD_NAME
from hft.experiments.store import absolute_uri, artifact_root, check_uri, open_client, tracking_errors, why_away
from hft.experiments.store_requests import (
    PARENT_TAG,
    all_runs,
    begin_run,
    download,
    find_or_make_experiment,
    log_rows,
    upload_once,
)
from hft.experiments.tracked_result import (
    RUN_ID_TAG,
    PastRun,
    TrackedResult,
    past_run,
    result_of,
    typed_params,
    value_of,
)
from hft.redaction import redacted_values
from hft.settings import FineTuningParams

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

INITIAL_MODELS = "hft/initial_models"
COMPLETE_TAG = "hft.complete"
BASE_MODEL_TAG = "hft.base_model_hash"
SWEEP_ID_TAG = "hft.sweep_id"  # of a sweep's own run
SWEEP_TAG = "hft.sweep"  # of the runs of a sweep: its name

Direction = Literal["maximize", "minimize"]

_SECONDS_AWAY = 60.0

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
        self._experiment_ids: dict[str, str] = {}
        self._initial_models: dict[str, str] = {}
        self._away: str | None = None
        self._away_until = 0.0

    def why_away(self, *, ask_again: bool = True) -> str | None:
        """Why the store does not answer, in words; None: it does.

        Args:
            ask_again: False: a server that was away less than a minute ago counts as away; a sweep's trials must not
                each wait for it.
        """
        if not ask_again and time.monotonic() < self._away_until:
            return self._away
        self._away = why_away(self.uri)
        if self._away is not None:
            self._away_until = time.monotonic() + _SECONDS_AWAY
        return self._away

    def start_run(
        self,
        experiment: str,
        run_id: str,
        *,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> str:
        """Makes the MLflow run of an hft run, or finds it where it was made before.

        Args:
            experiment: name of the experiment, one an iteration; made where it does not exist.
            run_id: hft's id of the run; a tag holds it, so that pushing twice makes one run.
            name: shown in MLflow.
            config: resolved; its leaves become params, values as JSON.
            tags: more tags.
            fresh: the run was never pushed, so that it need not be looked for.

        Returns:
            MLflow's id of the run.
        """
        identity = {RUN_ID_TAG: run_id, COMPLETE_TAG: "false"}
        return self._start(experiment, identity, name=name, config=config, tags=tags, fresh=fresh)

    def start_sweep(
        self,
        experiment: str,
        sweep_id: str,
        *,
        name: str,
        config: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> str:
        """Makes the MLflow run that the runs of a sweep are children of, or finds it where it was made before.

        It is no run of hft's: `finished_runs` and all that is built on it leave it out.

        Args: as of `start_run`; `sweep_id` is 32 hexadecimal digits that no other sweep has.

        Returns:
            MLflow's id of the run, which is open again where it was closed.
        """
        return self._start(experiment, {SWEEP_ID_TAG: sweep_id}, name=name, config=config, tags=tags)

    def adopt(self, experiment: str, sweep: str, mlflow_run_id: str) -> None:
        """Makes the runs of a sweep children of its run where they were pushed before it was.

        Args:
            experiment: its name.
            sweep: as the runs' records name it.
            mlflow_run_id: MLflow's id of the sweep's run.
        """
        with self._calls() as client:
            experiment_id = self._experiment_id(client, experiment)
            for run in list(all_runs(client, [experiment_id], f"tags.`{SWEEP_TAG}` LIKE '%'")):
                if run.data.tags[SWEEP_TAG] == sweep and PARENT_TAG not in run.data.tags:
                    client.set_tag(run.info.run_id, PARENT_TAG, mlflow_run_id)

    def log_rows(self, mlflow_run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Logs rows of steps.jsonl in batches. Rows that the store has already are not doubled.

        Args:
            mlflow_run_id: MLflow's id of the run.
            rows: each with `step` and `time` (seconds since 1970), then numbers by name.
        """
        with self._calls() as client:
            log_rows(client, mlflow_run_id, rows)

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
            from mlflow.entities import RunTag

            all_tags = {**tags, COMPLETE_TAG: "true"}
            client.log_batch(mlflow_run_id, tags=[RunTag(key, value) for key, value in all_tags.items()])
            client.set_terminated(mlflow_run_id, status)

    def upload_initial_model(self, fingerprint: str, save: Callable[[Path], object]) -> str:
        """Uploads the model that runs start from, once for all runs.

        Args:
            fingerprint: hash of its weights: a model with the same one is not uploaded again.
            save: writes the model into the folder that it is given; called only where it is needed.

        Returns:
            MLflow's id of the run whose artifact `model` it is.
        """
        if fingerprint not in self._initial_models:
            self._initial_models[fingerprint] = self._upload_initial_model(fingerprint, save)
        return self._initial_models[fingerprint]

    def _upload_initial_model(self, fingerprint: str, save: Callable[[Path], object]) -> str:
        with self._calls() as client:
            experiment_id = self._experiment_id(client, INITIAL_MODELS)
            tags = {BASE_MODEL_TAG: fingerprint}
            return upload_once(client, experiment_id, tags, COMPLETE_TAG, save)

    def finished_runs(self, experiment: str, metric: str) -> list[TrackedResult]:
        """Runs of an experiment that ended well and have a value of `metric` that is a number, in any order.

        Args:
            experiment: its name.
            metric: as logged (`validation_ndcg@10`); a bare main metric (`ndcg@10`) means its validation value.

        Raises:
            RunNotFoundError: no such experiment.
        """
        results = []
        for run in self._finished(experiment):
            if SWEEP_ID_TAG in run.data.tags:
                continue
            value = value_of(run.data.metrics, metric)
            if value is not None and not math.isnan(value):
                results.append(result_of(run, value))
        return results

    def past_runs(self, experiment: str, main_metric: str) -> list[PastRun]:
        """Runs of an experiment that ended well, with their config, in any order. None where there is no experiment.

        Args:
            experiment: its name.
            main_metric: as the records name it (`ndcg@10`); runs without a validation value of it are left out.

        Raises:
            DataError: what the store holds is not what hft wrote.
        """
        try:
            runs = self._finished(experiment)
        except RunNotFoundError:
            return []
        return [past for run in runs if (past := past_run(run, main_metric)) is not None]

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
            runs = (run for run in all_runs(client, experiments, "") if SWEEP_ID_TAG not in run.data.tags)
            return sorted(str(run.info.run_id) for run in runs if run.info.run_id.startswith(prefix))

    def _download(self, mlflow_run_id: str, needed: str, destination: Path, *, whole: bool = False) -> Path:
        with self._calls() as client:
            names = {file.path for file in client.list_artifacts(mlflow_run_id)}
            if needed not in names:
                raise RunNotFoundError(
                    f"{self.uri}: the run {mlflow_run_id} has no artifact {needed!r}. "
                    "It was not uploaded (tracking.log_model=false), or was removed since."
                )
            download(client, mlflow_run_id, "" if whole else needed, destination)
        return destination

    @contextmanager
    def _calls(self) -> Iterator[MlflowClient]:
        with tracking_errors(self.uri, patient=self.patient):
            if self._client is None:
                self._client = open_client(self.uri)
            yield self._client

    def _finished(self, experiment: str) -> list[Run]:
        with self._calls() as client:
            found = client.get_experiment_by_name(experiment)
            if found is None:
                raise RunNotFoundError(f"{self.uri}: has no experiment {experiment!r}.")
            return list(all_runs(client, [found.experiment_id], "attributes.status = 'FINISHED'"))

    def _start(
        self,
        experiment: str,
        identity: Mapping[str, str],
        *,
        name: str | None,
        config: Mapping[str, Any] | None,
        tags: Mapping[str, str] | None,
        fresh: bool = False,
    ) -> str:
        """Makes or finds the run whose first tag of `identity` is what it is known by."""
        with self._calls() as client:
            experiment_id = self._experiment_id(client, experiment)
            told = redacted_values({"config": config or {}, "tags": tags or {}})
            begin = partial(begin_run, client, name=name, **told)
            try:
                return begin(experiment_id=experiment_id, identity=identity, fresh=fresh)
            except Exception:
                self._experiment_ids.pop(experiment, None)  # it may have been deleted since
                again = self._experiment_id(client, experiment)
                return begin(experiment_id=again, identity=identity, fresh=False)

    def _experiment_id(self, client: MlflowClient, name: str) -> str:
        if name not in self._experiment_ids:
            self._experiment_ids[name] = find_or_make_experiment(client, name, artifact_root(self.uri))
        return self._experiment_ids[name]


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
