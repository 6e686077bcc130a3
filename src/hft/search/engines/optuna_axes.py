"""Positions on our axes as Optuna's distributions hold them."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from hft.search.engines.coordinates import Axis, IndexAxis, IntervalAxis, NormalAxis, StepAxis

# Optuna knows no normal distribution: it searches its quantiles, ends left out, where the value would be infinite.
SMALLEST_QUANTILE = 1e-9


def distribution_of(axis: Axis) -> BaseDistribution:
    """Optuna's distribution of positions on an axis; of a normal axis of its quantiles."""
    if isinstance(axis, IndexAxis):
        return CategoricalDistribution(tuple(range(axis.count)))
    if isinstance(axis, StepAxis):
        return IntDistribution(0, axis.count - 1)
    if isinstance(axis, IntervalAxis):
        return FloatDistribution(*axis.ends)
    return FloatDistribution(SMALLEST_QUANTILE, 1.0 - SMALLEST_QUANTILE)


def to_optuna(axis: Axis, position: float) -> Any:
    """A position as Optuna holds it."""
    if isinstance(axis, NormalAxis):
        quantile = NormalDist(axis.mean, axis.std).cdf(position)
        return min(max(quantile, SMALLEST_QUANTILE), 1.0 - SMALLEST_QUANTILE)
    if isinstance(axis, IntervalAxis):
        low, high = axis.ends
        return min(max(float(position), low), high)
    return int(position)


def from_optuna(axis: Axis, found: Any) -> float:
    """The position that Optuna means."""
    return NormalDist(axis.mean, axis.std).inv_cdf(float(found)) if isinstance(axis, NormalAxis) else float(found)


def suggested_by(trial: Trial, key: str, distribution: BaseDistribution) -> Any:
    """What a trial suggests for a parameter, as Optuna holds it."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(key, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(key, distribution.low, distribution.high)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(key, distribution.low, distribution.high)
    raise TypeError(f"no axis is a {type(distribution).__name__}")
