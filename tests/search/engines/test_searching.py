"""The algorithms find good values, whatever fails on the way."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from hft.search.engines import make_engine
from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Outcome

LEARNING = [("hyperopt", "tpe"), ("hyperopt", "anneal"), ("optuna", "tpe"), ("optuna", "cmaes")]
ALL = [*LEARNING, ("hyperopt", "random"), ("optuna", "random"), ("optuna", "qmc"), ("optuna", "nsga2")]

BRANIN = SearchSpace.parse({"x": {"low": -5.0, "high": 10.0}, "y": {"low": 0.0, "high": 15.0}})
BRANIN_MINIMUM = 0.397887


def branin(params: Params) -> float:
    """Source: L. Dixon and G. Szego, The global optimization problem, 1978."""
    x, y = params["x"], params["y"]
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def best_of(engine: str, algorithm: str, seed: int, evaluations: int = 60, direction: str = "minimize") -> float:
    settings = SearchSettings(algorithm=algorithm, seed=seed, direction=(direction,))
    sign = settings.signs[0]
    proposing = make_engine(engine, BRANIN, settings)
    values = []
    for number in range(evaluations):
        values.append(branin(proposing.ask(number) or {}))
        proposing.tell(number, Outcome("done", (sign * values[-1],)))
    return min(values)


@pytest.mark.parametrize(("engine", "algorithm"), LEARNING)
def test_branin_is_minimised_better_than_at_random(engine, algorithm):
    learnt = statistics.median(best_of(engine, algorithm, seed) for seed in range(10))
    drawn = statistics.median(best_of(engine, "random", seed) for seed in range(10))
    assert learnt - BRANIN_MINIMUM < 0.8 * (drawn - BRANIN_MINIMUM)


@pytest.mark.parametrize(("engine", "algorithm"), LEARNING)
def test_maximising_the_negative_is_the_same_search(engine, algorithm):
    assert best_of(engine, algorithm, 0, 30) == best_of(engine, algorithm, 0, 30, "maximize")


MIXED = SearchSpace.parse(
    {
        "lr": {"low": 1e-5, "high": 1e-1, "log": True},
        "layers": {"low": 0, "high": 12, "integer": True},
        "loss": ["pairs", "lists", None],
        "margin": {"low": 0.01, "high": 0.5, "when": {"loss": "pairs"}},
    }
)


def cost(params: Params) -> float:
    """0 at best: rate 1e-3, 4 layers, loss `pairs` with margin 0.1."""
    loss = abs(params["margin"] - 0.1) if params["loss"] == "pairs" else 1.0
    return (math.log10(params["lr"]) + 3) ** 2 + ((params["layers"] - 4) / 4) ** 2 + loss


@pytest.mark.parametrize("n_parallel", [1, 3])
@pytest.mark.parametrize(("engine", "algorithm"), ALL)
def test_two_hundred_trials_with_failures_and_nan_run_clean_and_find_a_good_value(engine, algorithm, n_parallel):
    proposing = make_engine(engine, MIXED, SearchSettings(algorithm=algorithm, n_parallel=n_parallel))
    fate = random.Random(0)
    running: list[int] = []
    values: dict[int, float] = {}
    for number in range(200):
        params = proposing.ask(number) or {}
        assert MIXED.contains(params)
        values[number] = cost(params)
        running.append(number)
        if len(running) < n_parallel:
            continue
        ended = running.pop(fate.randrange(len(running)))
        draw = fate.random()
        if draw < 0.1:
            proposing.tell(ended, Outcome("failed"))
            values[ended] = math.inf
        elif draw < 0.2:
            proposing.tell(ended, Outcome("done", (math.nan,)))
            values[ended] = math.inf
        else:
            proposing.tell(ended, Outcome("done", (values[ended],)))
    assert min(values.values()) < 0.5


@pytest.mark.parametrize("algorithm", ["tpe", "random", "qmc", "nsga2"])
def test_several_metrics_spread_over_their_front(algorithm):
    space = SearchSpace.parse({"x": {"low": 0.0, "high": 2.0}, "y": {"low": 0.0, "high": 2.0}})
    settings = SearchSettings(metric=("a", "b"), direction=("minimize", "maximize"), algorithm=algorithm)
    proposing = make_engine("optuna", space, settings)
    values = []
    for number in range(120):
        params = proposing.ask(number) or {}
        near = params["x"] ** 2 + params["y"], (params["x"] - 2) ** 2 + params["y"]
        values.append(near)
        outcomes = {
            0: Outcome("failed"),
            1: Outcome("pruned", (near[0], -near[1])),
            2: Outcome("done", (1.0, math.nan)),
        }
        proposing.tell(number, outcomes.get(number % 10, Outcome("done", (near[0], -near[1]))))
    assert min(a for a, _ in values) < 0.6
    assert min(b for _, b in values) < 0.6


@pytest.mark.parametrize(("engine", "algorithm"), [("hyperopt", "tpe"), ("optuna", "tpe")])
def test_a_pruned_trial_is_no_value(engine, algorithm):
    """Pruned trials report far better values than any that is done, in a corner: the search does not go there."""
    space = SearchSpace.parse({"x": {"low": 0.0, "high": 1.0}})
    proposing = make_engine(engine, space, SearchSettings(algorithm=algorithm))
    asked = []
    for number in range(80):
        x = (proposing.ask(number) or {})["x"]
        asked.append(x)
        outcome = Outcome("pruned", (-100.0,)) if x > 0.8 else Outcome("done", ((x - 0.3) ** 2,))
        proposing.tell(number, outcome)
    assert statistics.mean(x > 0.8 for x in asked[40:]) < 0.2
