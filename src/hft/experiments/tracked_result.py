"""What the tracking store knows of a run, in hft's words and types."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hft.errors import DataError
from hft.parsing import parse_json
from hft.settings import FineTuningParams

if TYPE_CHECKING:
    from mlflow.entities import Run

RUN_ID_TAG = "hft.run_id"
LONGEST_PARAM = 6000  # MLflow's limit
CHOICES_TAG = "hft.choices"  # options of the config groups, as JSON
_REFUSED_IN_NAMES = re.compile(r"[^\w\-. :/]")


@dataclass(frozen=True)
class TrackedResult:
    """A finished run as the store knows it.

    Args:
        mlflow_run_id: its id in the store.
        run_id: its id in run.yaml.
        value: of the metric asked for.
        params: typed again, and so as valid as on the day they were used.
        metrics: last values, by MLflow's names.
    """

    mlflow_run_id: str
    run_id: str | None
    value: float
    params: FineTuningParams
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class PastRun:
    """A finished run as the store knows it, with all of its config that the store was told.

    Args:
        mlflow_run_id: its id in the store.
        run_id: its id in run.yaml.
        started: UTC, ISO 8601.
        value: of the metric asked for, on validation.
        start: the same of the starting model, where it is known.
        config: nested.
        choices: option of each config group.
        data_hash: of the data.
    """

    mlflow_run_id: str
    run_id: str
    started: str
    value: float
    start: float | None
    config: Mapping[str, Any]
    choices: Mapping[str, Any]
    data_hash: str | None


def past_run(run: Run, metric: str) -> PastRun | None:
    """A run of the store with its config; None: it is no run of hft's, or has no value of the metric."""
    tags, metrics = run.data.tags, run.data.metrics
    value = metrics.get(metric_name(f"validation_{metric}"))
    if RUN_ID_TAG not in tags or value is None or not math.isfinite(value):
        return None
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="microseconds")
    where = f"MLflow run {run.info.run_id}"
    params = {key: _parsed(text, f"{where}: {key}") for key, text in run.data.params.items() if not _is_cut(text)}
    choices = _parsed(tags.get(CHOICES_TAG, "{}"), f"{where}: tag {CHOICES_TAG}")
    return PastRun(
        mlflow_run_id=str(run.info.run_id),
        run_id=tags[RUN_ID_TAG],
        started=started.replace("+00:00", "Z"),
        value=value,
        start=metrics.get(metric_name(f"validation_{metric}_start")),
        config=_nested(params),
        choices=choices if isinstance(choices, dict) else {},
        data_hash=tags.get("hft.data_hash"),
    )


def metric_name(name: str) -> str:
    """MLflow's name of a metric: it allows no `@`, so `ndcg@10` is `ndcg_at_10` there, as MLflow's own metrics are."""
    return _REFUSED_IN_NAMES.sub("_", name.replace("@", "_at_"))


def param_name(key: str) -> str:
    """MLflow's name of a config key."""
    return _REFUSED_IN_NAMES.sub("_", key)


def value_of(metrics: Mapping[str, float], metric: str) -> float | None:
    """The last value of `metric`; of a name without a split (`ndcg@10`) the validation value."""
    exact = metrics.get(metric_name(metric))
    return metrics.get(metric_name(f"validation_{metric}")) if exact is None else exact


def result_of(run: Run, value: float) -> TrackedResult:
    """A run of the store as a TrackedResult."""
    return TrackedResult(
        mlflow_run_id=str(run.info.run_id),
        run_id=run.data.tags.get(RUN_ID_TAG),
        value=value,
        params=typed_params(run),
        metrics=dict(run.data.metrics),
    )


def typed_params(run: Run) -> FineTuningParams:
    """Parameters of a run, typed again.

    Raises:
        DataError: what the store holds are no valid parameters.
    """
    prefix = "params."
    texts = {key[len(prefix) :]: text for key, text in run.data.params.items() if key.startswith(prefix)}
    try:
        return FineTuningParams.model_validate({key: parse_json(text) for key, text in texts.items()})
    except (ValueError, ValidationError) as error:
        raise DataError(
            f"MLflow run {run.info.run_id}: its params are not valid FineTuningParams: {error}. "
            "They were changed in the store, or another version of hft wrote them."
        ) from error


def _is_cut(text: str) -> bool:
    """Whether the value was too long for the store, so that a part of it is there."""
    return len(text) >= LONGEST_PARAM


def _parsed(text: str, where: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(f"{where}: found {text[:80]!r}, which is no value as hft writes it: {error}.") from error


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings of dotted keys."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, name = key.split(".")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return nested
