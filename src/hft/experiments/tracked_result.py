"""What the tracking store knows of a run, in hft's words and types."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hft.errors import DataError
from hft.settings import FineTuningParams

if TYPE_CHECKING:
    from mlflow.entities import Run

RUN_ID_TAG = "hft.run_id"
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
        return FineTuningParams.model_validate({key: json.loads(text) for key, text in texts.items()})
    except (ValueError, ValidationError) as error:
        raise DataError(
            f"MLflow run {run.info.run_id}: its params are not valid FineTuningParams: {error}. "
            "They were changed in the store, or another version of hft wrote them."
        ) from error
