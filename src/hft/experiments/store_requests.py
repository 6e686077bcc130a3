"""Requests to an MLflow store, as few as can be: a run made or found, its values in batches, runs page by page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.experiments.plain import flatten
from hft.experiments.run_folder import MODEL_NAME
from hft.experiments.tracked_result import LONGEST_PARAM, metric_name, param_name
from hft.files import atomic_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"

# MLflow's limits on one request.
_METRICS_A_BATCH = 1000
_PARAMS_A_BATCH = 100
_LONGEST_NAME = 250


def find_or_make_experiment(client: MlflowClient, name: str, root: Path | None) -> str:
    """MLflow's id of an experiment.

    Args:
        client: of the store.
        name: of the experiment.
        root: where a new one keeps its artifacts; None: the server says.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, None if root is None else root.as_uri()))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process was quicker
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def begin_run(
    client: MlflowClient,
    experiment_id: str,
    identity: Mapping[str, str],
    *,
    name: str | None,
    config: Mapping[str, Any],
    tags: Mapping[str, str],
    fresh: bool,
) -> str:
    """Makes a run, or finds it where it was made before.

    Args:
        client: of the store.
        experiment_id: where.
        identity: tags that it gets in any case; by the first of them it is known.
        name: of a new run.
        config: its leaves become params, values as JSON.
        tags: of a new run; one that is found gets its parent among them.
        fresh: it cannot be there yet: nobody looks for it.

    Returns:
        MLflow's id of the run.
    """
    known_by, value = next(iter(identity.items()))
    query = f"tags.`{known_by}` = '{value}'"
    found = [] if fresh else client.search_runs([experiment_id], query, max_results=1)
    known: Mapping[str, str] = {}
    if found:
        mlflow_run_id, known = str(found[0].info.run_id), found[0].data.params
        parent = {key: text for key, text in tags.items() if key == PARENT_TAG}
        for key, text in {**identity, **parent}.items():
            client.set_tag(mlflow_run_id, key, text)
        client.update_run(mlflow_run_id, "RUNNING")  # it may have been closed, and goes on
    else:
        mlflow_run_id = str(client.create_run(experiment_id, run_name=name, tags={**tags, **identity}).info.run_id)
    _log_params(client, mlflow_run_id, config, known)
    return mlflow_run_id


def log_rows(client: MlflowClient, mlflow_run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Logs rows of steps.jsonl: each has `step` and `time` (seconds since 1970), then numbers by name."""
    from mlflow.entities import Metric

    metrics = [
        Metric(metric_name(name), float(value), int(row.get("time", 0.0) * 1000), int(row["step"]))
        for row in rows
        for name, value in row.items()
        if name not in ("step", "time") and _is_number(value)
    ]
    for batch in _batches(metrics, _METRICS_A_BATCH):
        client.log_batch(mlflow_run_id, metrics=batch, synchronous=True)


def all_runs(client: MlflowClient, experiment_ids: list[str], query: str) -> Iterator[Run]:
    """Runs of experiments that answer to a query of MLflow's."""
    token: str | None = None
    while experiment_ids:
        page = client.search_runs(experiment_ids, query, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def upload_once(
    client: MlflowClient, experiment_id: str, tags: Mapping[str, str], complete: str, save: Callable[[Path], object]
) -> str:
    """Uploads a model as the artifact of a run of its own, unless a run has it already.

    Args:
        client: of the store.
        experiment_id: where.
        tags: one, that no other model has.
        complete: name of the tag that tells a whole upload from one that broke off.
        save: writes the model into the folder that it is given; called only where it is needed.

    Returns:
        MLflow's id of the run.
    """
    ((name, value),) = tags.items()
    query = f"tags.`{name}` = '{value}' and tags.`{complete}` = 'true'"
    known = client.search_runs([experiment_id], query, max_results=1)
    if known:
        return str(known[0].info.run_id)
    run_id = str(client.create_run(experiment_id, run_name=value[:12], tags=dict(tags)).info.run_id)
    with tempfile.TemporaryDirectory(prefix="hft-initial-") as scratch:
        folder = Path(scratch) / MODEL_NAME
        save(folder)
        client.log_artifacts(run_id, str(folder), MODEL_NAME)
    client.set_tag(run_id, complete, "true")
    client.set_terminated(run_id, "FINISHED")
    return run_id


def download(client: MlflowClient, mlflow_run_id: str, path: str, destination: Path) -> None:
    """Downloads a folder of a run's artifacts, or all of them (""), into a folder that is there whole or not at all."""
    with atomic_folder(destination) as folder:
        source = Path(client.download_artifacts(mlflow_run_id, path, str(folder)))
        if source.resolve() == folder.resolve():
            return
        for entry in list(source.iterdir()):  # MLflow put them into a subfolder
            entry.rename(folder / entry.name)
        source.rmdir()


def _log_params(client: MlflowClient, mlflow_run_id: str, config: Mapping[str, Any], known: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    params = []
    for key, value in flatten(config).items():
        name, text = param_name(key), json.dumps(value)[:LONGEST_PARAM]
        if name not in known and len(name) <= _LONGEST_NAME:
            params.append(Param(name, text))
    for batch in _batches(params, _PARAMS_A_BATCH):
        client.log_batch(mlflow_run_id, params=batch, synchronous=True)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _batches(entities: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(entities), size):
        yield entities[start : start + size]
