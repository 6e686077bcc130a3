"""What every algorithm proposes lies in the space, and is proposed again when its calls are repeated."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hft.search.engines import make_engine
from hft.search.engines.engine import Engine
from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.trial import Outcome
from random_spaces import spaces

ALGORITHMS = [
    ("hyperopt", "tpe"),
    ("hyperopt", "random"),
    ("hyperopt", "anneal"),
    ("optuna", "tpe"),
    ("optuna", "random"),
    ("optuna", "qmc"),
    ("optuna", "cmaes"),
    ("optuna", "nsga2"),
]
# So few random trials that the algorithms themselves are seen.
EARLY = {
    ("hyperopt", "tpe"): {"n_startup_jobs": 2},
    ("optuna", "tpe"): {"n_startup_trials": 2},
    ("optuna", "nsga2"): {"population_size": 2},
}
LIGHT = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

EVERY_ALGORITHM = pytest.mark.parametrize(("engine", "algorithm"), ALGORITHMS)


def make(engine: str, algorithm: str, space: SearchSpace, seed: int = 0) -> Engine:
    options = EARLY.get((engine, algorithm), {})
    return make_engine(engine, space, SearchSettings(seed=seed, algorithm=algorithm, algorithm_options=options))


def with_numbers(space: SearchSpace) -> SearchSpace:
    """The space with two numbers that CMA-ES can move, whatever else it has."""
    more = SearchSpace.parse({"one": {"low": 0.0, "high": 1.0}, "two": {"low": 1e-3, "high": 1.0, "log": True}})
    return space.with_parameters(more.parameters)


def outcome_of(kind: str, number: int) -> Outcome:
    return {
        "done": Outcome("done", (math.sin(number),)),
        "nan": Outcome("done", (math.nan,)),
        "failed": Outcome("failed", reason="out of memory"),
        "pruned": Outcome("pruned", (math.cos(number),)),
        "pruned early": Outcome("pruned"),
    }[kind]


KINDS = st.lists(st.sampled_from(["done", "done", "nan", "failed", "pruned", "pruned early"]), min_size=8, max_size=8)


@EVERY_ALGORITHM
@LIGHT
@given(space=spaces(), kinds=KINDS)
def test_every_proposal_is_a_point_of_the_space(engine, algorithm, space, kinds):
    space = with_numbers(space)
    proposing = make(engine, algorithm, space)
    for number, kind in enumerate(kinds):
        params = proposing.ask(number)
        assert params is not None
        assert space.contains(params), params
        assert list(params) == list(space.active(params))
        assert json.loads(json.dumps(params)) == params
        proposing.tell(number, outcome_of(kind, number))


# Calls of a sweep: asked with or without parameters of its own, told in any order, some never.
CALLS = st.lists(st.tuples(st.integers(0, 3), KINDS.map(lambda kinds: kinds[0])), min_size=6, max_size=14)


def replay(proposing: Engine, calls: list[tuple[int, str]], given_params: dict[str, Any]) -> list[str]:
    """Makes the calls: up to three trials run at a time; every fourth is given its parameters."""
    asked, running = [], []
    for number, (position, kind) in enumerate(calls):
        params = proposing.ask(number, given_params if number % 4 == 3 else None)
        asked.append(json.dumps(params))
        running.append((number, kind))
        if len(running) > 2:
            ended, how = running.pop(position % len(running))
            proposing.tell(ended, outcome_of(how, ended))
    return asked


@EVERY_ALGORITHM
@LIGHT
@given(space=spaces(), calls=CALLS, more=st.integers(1, 5))
def test_repeated_calls_get_byte_identical_proposals(engine, algorithm, space, calls, more):
    space = with_numbers(space)
    given_params = make(engine, "random", space, seed=99).ask(0) or {}
    once = replay(make(engine, algorithm, space), calls + calls[:more], given_params)
    resumed = replay(make(engine, algorithm, space), calls, given_params)
    assert once[: len(calls)] == resumed


@EVERY_ALGORITHM
def test_another_seed_asks_for_other_trials(engine, algorithm):
    space = SearchSpace.parse({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})
    first, other = (make(engine, algorithm, space, seed) for seed in (0, 1))
    assert [first.ask(number) for number in range(3)] != [other.ask(number) for number in range(3)]


@EVERY_ALGORITHM
@pytest.mark.parametrize(
    "given_params",
    [{"x": 0.25, "y": 0.5}, {"x": 0.25}, {"x": 7.0, "y": "no number"}, {"of.another.space": 1}, {}],
    ids=["point", "part", "outside", "stranger", "nothing"],
)
def test_given_parameters_are_taken_as_they_are(engine, algorithm, given_params):
    space = SearchSpace.parse({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})
    proposing = make(engine, algorithm, space)
    for number in range(12):
        params = proposing.ask(number, given_params if number % 3 == 0 else None)
        assert params == given_params if number % 3 == 0 else space.contains(params or {})
        proposing.tell(number, Outcome("done", (float(number),)))


@pytest.mark.parametrize(("engine", "algorithm"), [a for a in ALGORITHMS if a[1] in ("tpe", "random", "anneal")])
def test_a_small_space_is_proposed_whole_before_anything_twice(engine, algorithm):
    space = SearchSpace.parse({"a": [1, 2, 3, 4], "b": {"choices": ["x", "y", "z"], "when": {"a": [1, 2]}}})
    proposing = make(engine, algorithm, space)
    asked = []
    for number in range(8):
        asked.append(json.dumps(proposing.ask(number)))
        proposing.tell(number, Outcome("done", (1.0,)))
    assert len(set(asked)) == space.size == 8
    assert space.contains(proposing.ask(8) or {})


@pytest.mark.parametrize(("engine", "algorithm"), ALGORITHMS)
def test_quantised_values_are_clean_and_include_both_ends(engine, algorithm):
    space = SearchSpace.parse({"x": {"low": 0.1, "high": 0.75, "step": 0.1}, "y": {"low": 0.0, "high": 1.0}})
    proposing = make(engine, algorithm, space)
    seen = set()
    for number in range(200):
        params = proposing.ask(number) or {}
        seen.add(params["x"])
        proposing.tell(number, Outcome("failed"))
    assert seen == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}
