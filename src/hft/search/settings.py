"""What a search is told beside its space: what to look at, for how long, in which way. Validated here alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Direction = Literal["maximize", "minimize"]
EngineName = Literal["hyperopt", "optuna"]

ALGORITHMS: dict[str, tuple[str, ...]] = {
    "hyperopt": ("tpe", "random", "anneal"),
    "optuna": ("tpe", "cmaes", "random", "grid", "qmc", "nsga2"),
}


def _in_a_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrunerSettings(_Strict):
    """Which trials are stopped early, judged by the values that they report on their way.

    Args:
        kind: `median`: worse than the median of the others at the same report; `asha`: asynchronous successive
            halving, only the best 1/reduction_factor go on from each rung; `hyperband`: asha in several brackets that
            begin to judge at different rungs.
        min_reports: reports that each trial may make before it is judged (asha, hyperband: the first rung).
        min_trials: finished trials before median judges at all.
        reduction_factor: of asha and hyperband.
        max_reports: hyperband: reports of a trial that is never stopped; gives the number of brackets.
    """

    kind: Literal["median", "asha", "hyperband"]
    min_reports: Annotated[int, Field(ge=1)] = 1
    min_trials: Annotated[int, Field(ge=1)] = 5
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    max_reports: Annotated[int, Field(ge=1)] | None = None


def _kind_of_a_word(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


# A pruner as it stands in a config: a mapping, or only its kind.
Pruner = Annotated[PrunerSettings, BeforeValidator(_kind_of_a_word)]


class Stage(_Strict):
    """A part of a search with a budget of its own. Its values do not compare with those of other stages.

    Args:
        max_evals: trials of this stage.
        overrides: Hydra overrides of its trials, such as a share of the data (`data.train_share=0.2`).
        around_best: the space is narrowed around the previous stage's best to this share of each range;
            None: the whole space.
    """

    max_evals: Annotated[int, Field(ge=1)]
    overrides: list[str] = []
    around_best: Annotated[float, Field(gt=0.0, le=1.0)] | None = None


class SearchSettings(_Strict):
    """Everything about a search but its space.

    Args:
        metric: what trials are judged by; a word, or several for a multi-objective search (Optuna only).
        direction: of each metric.
        max_evals: trials in all, however often the sweep is started again; None: no limit. Trials answered from the
            record do not count.
        timeout: seconds in all, likewise; running trials are let finish.
        max_failures: failed trials after which the sweep is given up; None: never.
        n_parallel: trials at a time.
        seed: of the engine. Every serial sweep with the same seed asks for the same trials.
        keep_models: how many trials' weights stay on disk, the best.
        algorithm: of the engine; None: tpe.
        algorithm_options: passed to the engine's algorithm.
        pruner: None: every trial runs to its end.
        stages: None: one.
    """

    metric: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_in_a_tuple)] = ("value",)
    direction: Annotated[tuple[Direction, ...], BeforeValidator(_in_a_tuple)] = ("minimize",)
    max_evals: Annotated[int, Field(ge=1)] | None = None
    timeout: Annotated[float, Field(gt=0.0)] | None = None
    max_failures: Annotated[int, Field(ge=0)] | None = None
    n_parallel: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    keep_models: Annotated[int, Field(ge=1)] = 1
    algorithm: str | None = None
    algorithm_options: dict[str, Any] = {}
    pruner: Pruner | None = None
    stages: tuple[Stage, ...] = ()

    @property
    def signs(self) -> tuple[float, ...]:
        """Factor of each metric that makes lower better: -1.0 where higher is better."""
        return tuple(-1.0 if direction == "maximize" else 1.0 for direction in self.direction)
