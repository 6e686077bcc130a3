"""A training as a sweep sees it: what it is judged by, whom it reports to, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hft.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from hft.metrics import Report
    from hft.search.settings import SearchSettings

VALIDATION = "validation_"


class CurrentTrial(Protocol):
    """What `hft.search.current_trial()` gives inside a job of a sweep."""

    @property
    def number(self) -> int:
        """From 0."""

    @property
    def folder(self) -> Path:
        """Of the trial."""

    @property
    def sweep_folder(self) -> Path:
        """Of the sweep."""

    @property
    def is_search(self) -> bool:
        """False where the sweep enumerates: each job is a complete run then."""

    @property
    def settings(self) -> SearchSettings:
        """Of the search."""

    def report(self, value: float, step: int | None = None) -> None:
        """Takes an intermediate value; raises TrialPruned."""


def _unheard(value: float, ordinal: int) -> None:
    """Where nobody listens: a trial that is reproduced."""


@dataclass(frozen=True)
class Trial:
    """A training that is one of a sweep's.

    A search trial (`is_search`) looks at validation alone: test is read by no trial but the winner, once, after the
    search. A job of an exhaustive sweep is a complete run.

    Args:
        number: in its sweep, from 0; None where a trial is repeated on its own.
        sweep: name of the sweep, for the record; None likewise.
        metrics: what the search judges by, first the one that is reported; none: the method's main metric.
        is_search: see above.
        report: takes (value, ordinal) of each validation after the start, from 1, and raises TrialPruned.
        shares: whether trials of this process share prepared data and base weights.
        keeps_model: whether the tuned weights are written.
    """

    number: int | None = None
    sweep: str | None = None
    metrics: tuple[str, ...] = ()
    is_search: bool = True
    report: Callable[[float, int], None] = _unheard
    shares: bool = True
    keeps_model: bool = True

    @classmethod
    def of(cls, current: CurrentTrial, outputs: str | Path) -> Trial:
        """The trial that goes on in this job.

        Args:
            current: from `hft.search.current_trial()`.
            outputs: of the run; a sweep below it is named by its path from there.
        """
        metrics = tuple(current.settings.metric) if current.is_search else ()
        sweep = sweep_name(current.sweep_folder, outputs)
        return cls(current.number, sweep, metrics, is_search=current.is_search, report=current.report)

    def monitor(self, main_metric: str) -> str:
        """The logged name of what is reported: `validation_ndcg@10`."""
        return validation_name(self.metrics[0] if self.metrics else main_metric)

    def require(self, measured: Collection[str]) -> None:
        """Refuses metrics that validation does not give.

        Args:
            measured: logged names of what validation gives.

        Raises:
            ConfigError: naming search.metric.
        """
        for metric in self.metrics:
            if validation_name(metric) not in measured:
                names = ", ".join(name.removeprefix(VALIDATION) for name in measured)
                raise ConfigError(f"search.metric={metric}: validation logs no such value. Measured: {names}.")


@dataclass(frozen=True)
class TrialResult:
    """What came of a search trial.

    Args:
        values: one a metric of the search, of the weights that were kept; of folds and seeds the means.
        details: to be remembered: `run_id`, `best_step`, `data` (a fingerprint); of folds and seeds `std`, `variants`.
        report: on validation; None where it is the mean of several trainings.
    """

    values: tuple[float, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    report: Report | None = None


def sweep_name(folder: str | Path, outputs: str | Path) -> str:
    """A sweep's folder as records name it: from `outputs` where it lies there, else whole."""
    path, root = Path(folder).resolve(), Path(outputs).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def validation_name(metric: str) -> str:
    """The logged name of a metric: `ndcg@10` and `validation_ndcg@10` are both `validation_ndcg@10`."""
    return metric if metric.startswith(VALIDATION) else f"{VALIDATION}{metric}"


def kept_step(report: Report) -> int:
    """The step whose weights were kept: the first with the best validation; 0 where none beat the start."""
    sign = 1.0 if report.direction == "maximize" else -1.0
    curve = report.curves[f"{VALIDATION}{report.main_metric}"]
    return max(curve, key=lambda point: sign * point[1])[0]


def trial_values(report: Report, metrics: Sequence[str] = ()) -> tuple[float, ...]:
    """What a search judges a training by: each metric's validation value at the weights that were kept.

    Args:
        report: of the training.
        metrics: `ndcg@10`, `validation_ndcg@10`, `loss`; none: the main metric.

    Raises:
        TrainingError: a metric has no value, or none that is finite, there.
    """
    step = kept_step(report)
    kept = kept_values(report.curves, step)
    values = []
    for metric in metrics or (report.main_metric,):
        value = kept.get(validation_name(metric))
        if value is None or not math.isfinite(value):
            raise TrainingError(f"search.metric={metric}: validation has no number at step {step}, which was kept.")
        values.append(value)
    return tuple(values)


def kept_values(curves: Mapping[str, Sequence[tuple[int, float]]], step: int) -> dict[str, float]:
    """Each validation value as it was logged at a step, and at the start under `NAME_start`.

    Args:
        curves: (step, value) by logged name.
        step: whose weights were kept.
    """
    found: dict[str, float] = {}
    for name, curve in curves.items():
        if name.startswith(VALIDATION):
            points = dict(curve)
            if step in points:
                found[name] = points[step]
            if 0 in points:
                found[f"{name}_start"] = points[0]
    return found
