"""What past trials teach, and what of them is taken."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.errors import ConfigError
from hft.search.engines import make_engine
from hft.search.engines.encoding import Encoding
from hft.search.engines.past_trials import past_trials
from hft.search.engines.ranks import union_of_iterations
from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Outcome

TPE = [("hyperopt", "tpe"), ("optuna", "tpe")]
LEARNING = [*TPE, ("hyperopt", "anneal")]
SPACE = SearchSpace.parse(
    {
        "x": {"low": 0.0, "high": 1.0},
        "y": {"low": 0.0, "high": 1.0},
        "loss": ["pairs", "lists"],
        "margin": {"low": 0.0, "high": 1.0, "when": {"loss": "pairs"}},
    }
)


def cost(params: Params, centre: float = 0.3) -> float:
    margin = (params["margin"] - 0.7) ** 2 if "margin" in params else 0.5
    return (params["x"] - centre) ** 2 + (params["y"] - centre) ** 2 + margin


def past(seed: int, count: int = 60) -> list[tuple[Params, float]]:
    """Random trials of an iteration in which gains are on another scale."""
    drawing = make_engine("hyperopt", SPACE, SearchSettings(algorithm="random", seed=seed))
    drawn = [drawing.ask(number) or {} for number in range(count)]
    return [(params, 1000.0 - 7.0 * cost(params)) for params in drawn]


def values_of(engine: str, algorithm: str, seed: int, observations: list[tuple[Params, float]]) -> list[float]:
    proposing = make_engine(engine, SPACE, SearchSettings(algorithm=algorithm, seed=seed))
    if observations:
        proposing.observe(observations)
    values = []
    for number in range(15):
        params = proposing.ask(number) or {}
        assert SPACE.contains(params)
        values.append(cost(params, 0.35))
        # Now and then one fails: it has no rank.
        proposing.tell(number, Outcome("failed") if number % 5 == 4 else Outcome("done", (values[-1],)))
    return values


@pytest.mark.parametrize(("engine", "algorithm"), LEARNING)
def test_the_first_trials_after_a_past_are_better_than_cold_ones(engine, algorithm):
    cold = statistics.median(min(values_of(engine, algorithm, seed, [])) for seed in range(10))
    warm = statistics.median(min(values_of(engine, algorithm, seed, past(100 + seed))) for seed in range(10))
    assert warm < 0.8 * cold


@pytest.mark.parametrize(("engine", "algorithm"), LEARNING)
def test_only_the_order_of_past_gains_counts(engine, algorithm):
    stretched = [(params, math.exp(gain / 3.0)) for params, gain in past(1)]
    assert values_of(engine, algorithm, 0, past(1)) == values_of(engine, algorithm, 0, stretched)


@pytest.mark.parametrize(("engine", "algorithm"), TPE)
def test_a_past_that_misleads_is_overruled(engine, algorithm):
    """The past was best at x = y = 0.1; now it is 0.9: the search leaves the old place."""
    proposing = make_engine(engine, SPACE, SearchSettings(algorithm=algorithm))
    proposing.observe([(params, -cost(params, 0.1)) for params, _ in past(3)])
    values = []
    for number in range(80):
        params = proposing.ask(number) or {}
        values.append(cost(params, 0.9))
        proposing.tell(number, Outcome("done", (values[-1],)))
    assert min(values) < 0.15


@pytest.mark.parametrize(("engine", "algorithm"), LEARNING)
def test_repeated_with_the_same_past_the_same_is_asked(engine, algorithm):
    assert values_of(engine, algorithm, 4, past(2)) == values_of(engine, algorithm, 4, past(2))


@pytest.mark.parametrize(("engine", "algorithm"), LEARNING)
def test_trials_of_another_space_do_no_harm(engine, algorithm):
    strange = [
        ({"z": 1.0}, 5.0),
        ({"x": 0.5, "z": "new"}, 4.0),
        ({"x": "0.5", "y": -3.0}, 3.0),
        ({"x": 0.1, "y": 0.1, "loss": "gone", "margin": 0.5}, 2.0),
        ({"x": 0.1, "y": 0.2, "loss": "lists"}, math.nan),
    ]
    assert len(values_of(engine, algorithm, 0, strange + past(1, 10))) == 15


def kept(observations: list[tuple[Params, float]]) -> list[tuple[dict[str, float], float]]:
    return [(trial.positions, trial.loss) for trial in past_trials("hyperopt", "tpe", 1, Encoding(SPACE), observations)]


@pytest.mark.parametrize(
    ("params", "positions"),
    [
        ({"x": 0.5, "y": 0.25, "loss": "pairs", "margin": 1.0}, {"x": 0.5, "y": 0.25, "loss": 0, "margin": 1.0}),
        ({"x": 0.5, "loss": "lists", "margin": 1.0}, {"x": 0.5, "loss": 1}),
        ({"x": 2.0, "y": 0.25, "z": 1}, {"y": 0.25}),
        ({"margin": 0.5, "y": 0.0}, {"y": 0.0}),
    ],
    ids=["whole", "condition does not hold", "outside and stranger", "parent unknown"],
)
def test_what_the_space_can_hold_is_kept(params, positions):
    assert kept([(params, 2.0)]) == [(positions, -2.0)]


def test_what_says_nothing_is_left_out():
    assert kept([({"z": 1}, 2.0), ({"x": 0.5}, math.nan), ({"x": 0.5}, -math.inf)]) == []


@pytest.mark.parametrize(
    ("engine", "algorithm"),
    [("hyperopt", "random"), ("optuna", "cmaes"), ("optuna", "qmc"), ("optuna", "nsga2"), ("optuna", "random")],
)
def test_other_algorithms_say_which_can_learn(engine, algorithm):
    proposing = make_engine(engine, SPACE, SearchSettings(algorithm=algorithm))
    with pytest.raises(ConfigError, match=r"search\.algorithm: .*warm_start.*tpe, anneal of hyperopt; tpe of optuna"):
        proposing.observe(past(0, 3))


def test_several_metrics_cannot_learn_from_one_gain():
    settings = SearchSettings(metric=("a", "b"), direction=("maximize", "maximize"))
    with pytest.raises(ConfigError, match=r"search\.metric: "):
        make_engine("optuna", SPACE, settings).observe(past(0, 3))


LOSSES = st.lists(st.floats(-1e6, 1e6), max_size=20)


@given(past_losses=LOSSES, present=LOSSES)
def test_ranks_keep_the_order_within_each_iteration(past_losses, present):
    for losses, scores in zip((past_losses, present), union_of_iterations(past_losses, present), strict=True):
        assert len(scores) == len(losses)
        assert all(0.0 <= score <= 1.0 for score in scores)
        pairs = [(a, b, s, t) for a, s in zip(losses, scores, strict=True) for b, t in zip(losses, scores, strict=True)]
        assert all((a < b) == (s < t) for a, b, s, t in pairs)


def test_the_best_of_the_present_comes_before_the_past():
    assert union_of_iterations([3.0, 1.0, 2.0], [50.0, 40.0]) == ([0.75, 0.25, 0.5], [0.5, 0.0])
