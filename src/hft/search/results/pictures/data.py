"""A sweep as its pictures see it: which trials are shown, on which axes, how much each parameter matters."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hft.search.hooks import SweepState
from hft.search.results.pictures.axes import Axis, parameter_axis, visible_range
from hft.search.results.ranking import has_value, is_several, short_names, stage_of_results, wanted
from hft.search.results.values_as_text import counted
from hft.search.trial import Trial

if TYPE_CHECKING:
    import optuna

# Below this many done trials an order of the parameters is chance.
MIN_TRIALS_FOR_IMPORTANCE = 10
# PED-ANOVA compares the best trials with all: at least so many, as its authors advise, else this share.
_BEST_TRIALS, _BEST_SHARE = 5, 0.1


@dataclass(frozen=True)
class SweepView:
    """A sweep as its pictures see it.

    Args:
        state: of the sweep.
        stage: whose trials are compared.
        shown: its trials with a value, by number.
        axes: parameters of those trials.
        pruned: trials of the stage that were pruned: their last report compares with no value.
    """

    state: SweepState
    stage: int
    shown: tuple[Trial, ...]
    axes: tuple[Axis, ...]
    pruned: tuple[Trial, ...] = ()

    @classmethod
    def of(cls, state: SweepState) -> SweepView:
        """The view of a sweep as it stands."""
        stage = stage_of_results(state)
        shown = tuple(trial for trial in state.trials if has_value(trial) and trial.stage == stage)
        in_space = {parameter.key: parameter for parameter in state.space.parameters}
        used = {key for trial in shown for key in trial.params}
        keys = [key for key in in_space if key in used] + sorted(used - set(in_space))
        names = short_names(keys)
        pruned = tuple(trial for trial in state.trials if trial.state == "pruned" and trial.stage == stage)
        both = (*shown, *pruned)
        axes = tuple(parameter_axis(key, names[key], in_space.get(key), both).split(len(shown)) for key in keys)
        return cls(state, stage, shown, axes, pruned)

    @property
    def varying(self) -> tuple[Axis, ...]:
        """Axes on which the trials differ: the others explain nothing."""
        return tuple(axis for axis in self.axes if axis.varies)

    @property
    def sliced(self) -> tuple[Axis, ...]:
        """Axes on which the trials, or those that were pruned, differ; all where there is none."""
        return tuple(axis for axis in self.axes if len({*axis.positions, *axis.of_pruned}) > 1) or self.axes

    @property
    def marked(self) -> frozenset[int]:
        """Numbers of the best trials: one, or with several metrics the front."""
        best = self.state.front if is_several(self.state.settings) else (self.state.best,)
        return frozenset(trial.number for trial in best if trial is not None)

    def values(self, metric: int) -> list[float]:
        """Of the shown trials."""
        return [trial.values[metric] for trial in self.shown]

    def metric_label(self, metric: int) -> str:
        """`ndcg@10 (higher is better)`."""
        settings = self.state.settings
        return f"{settings.metric[metric]} ({wanted(settings.direction[metric])})"

    def range_of_slices(self, metric: int) -> tuple[float, float]:
        """Ends of the axis of values on which pruned trials stand by their last report."""
        reported = [trial.values[metric] for trial in self.pruned if len(trial.values) > metric]
        return visible_range([*self.values(metric), *reported], self.state.settings.signs[metric])

    def scope(self, *, with_pruned: bool = False) -> str:
        """Which trials the picture is about, in words."""
        shown = {trial.number for trial in (*self.shown, *(self.pruned if with_pruned else ()))}
        left = [trial for trial in self.state.trials if trial.number not in shown]
        counts = Counter(trial.state if trial.stage == self.stage else "of other stages" for trial in left)
        rest = f"; not shown: {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}" if left else ""
        of_stage = f" of stage {self.stage}" if "of other stages" in counts else ""
        pruned = f", {len(self.pruned)} pruned (grey, last report)" if with_pruned and self.pruned else ""
        return f"{counted(len(self.shown), 'done trial')}{of_stage}{pruned}{rest}"


@dataclass(frozen=True)
class History:
    """Every trial of a sweep by number, for one metric.

    Args:
        done: trials with a value that were run.
        known: with a value from the record.
        pruned: with their last intermediate value; those without one are in `stopped`.
        stopped: pruned trials without a value.
        failed: numbers.
        best_so_far: steps of the best value, a list of (number, value) a stage: stages do not compare.
    """

    done: tuple[Trial, ...]
    known: tuple[Trial, ...]
    pruned: tuple[Trial, ...]
    stopped: tuple[Trial, ...]
    failed: tuple[Trial, ...]
    best_so_far: tuple[tuple[tuple[int, float], ...], ...]

    @classmethod
    def of(cls, state: SweepState, metric: int) -> History:
        """The history of a sweep's trials.

        Args:
            state: of the sweep.
            metric: its place among the sweep's metrics.
        """
        with_value = [trial for trial in state.trials if has_value(trial)]
        pruned = [trial for trial in state.trials if trial.state == "pruned"]
        better = max if state.settings.direction[metric] == "maximize" else min
        steps = []
        for stage in sorted({trial.stage for trial in with_value}):
            of_stage = [trial for trial in with_value if trial.stage == stage]
            best = list(itertools.accumulate((trial.values[metric] for trial in of_stage), better))
            steps.append(tuple((trial.number, value) for trial, value in zip(of_stage, best, strict=True)))
        return cls(
            done=tuple(trial for trial in with_value if trial.known_from is None),
            known=tuple(trial for trial in with_value if trial.known_from is not None),
            pruned=tuple(trial for trial in pruned if len(trial.values) > metric),
            stopped=tuple(trial for trial in pruned if len(trial.values) <= metric),
            failed=tuple(trial for trial in state.trials if trial.state == "failed"),
            best_so_far=tuple(steps),
        )


def importances(view: SweepView) -> dict[str, float] | str:
    """How much each parameter decides about a trial's being among the best; shares that add up to 1, largest first.

    PED-ANOVA (Watanabe et al., IJCAI 2023), which compares where the best trials lie with where all do; conditional
    parameters count in the part of the space where they exist. Several metrics: the best are those near the front.

    Args:
        view: of the sweep.

    Returns:
        shares by key, or in words why there are none.
    """
    if len(view.shown) < MIN_TRIALS_FOR_IMPORTANCE:
        return f"needs {MIN_TRIALS_FOR_IMPORTANCE} done trials, there are {len(view.shown)}"
    if len(set(view.values(0))) == 1 and not is_several(view.state.settings):
        return "all trials have the same value"
    axes = view.varying
    if not axes:
        return "all trials have the same parameters"
    import optuna

    share = max(_BEST_SHARE, min(0.5, _BEST_TRIALS / len(view.shown)))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
    with warnings.catch_warnings():
        # Says that a method is new, or that too few trials differ: the picture says what it is made of.
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(_study(view, axes), evaluator=evaluator)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _study(view: SweepView, axes: Sequence[Axis]) -> optuna.Study:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(directions=list(view.state.settings.direction))
        for row, trial in enumerate(view.shown):
            there = {axis.key: axis for axis in axes if axis.positions[row] is not None}
            study.add_trial(
                optuna.trial.create_trial(
                    values=list(trial.values),
                    params={key: _place(axis, row) for key, axis in there.items()},
                    distributions={key: _distribution(axis) for key, axis in there.items()},
                )
            )
    finally:
        optuna.logging.set_verbosity(before)
    return study


def _place(axis: Axis, row: int) -> float | int:
    position = axis.positions[row]
    assert position is not None
    return int(position) if axis.kind == "choice" else position


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    """Positions are logarithms already, and choices numbers of their order."""
    import optuna

    if axis.kind == "choice":
        return optuna.distributions.CategoricalDistribution(range(int(axis.high) + 1))
    return optuna.distributions.FloatDistribution(axis.low, axis.high)
