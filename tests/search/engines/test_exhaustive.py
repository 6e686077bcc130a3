"""Enumeration: every point once, in order or shuffled."""

from __future__ import annotations

import json

import pytest

from hft.errors import ConfigError
from hft.search.engines import make_engine
from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.trial import Outcome

SPACE = SearchSpace.parse({"loss": ["a", "b"], "margin": {"choices": [1, 2, 3], "when": {"loss": "b"}}, "n": [0, 1]})


def all_of(name: str, settings: SearchSettings, space: SearchSpace = SPACE) -> list[str]:
    engine = make_engine(name, space, settings)
    asked = []
    while (params := engine.ask(len(asked))) is not None:
        asked.append(json.dumps(params))
        engine.tell(len(asked) - 1, Outcome("done", (0.0,)))
        assert len(asked) < 100
    return asked


def test_points_come_in_order_and_then_none():
    assert all_of("exhaustive", SearchSettings()) == [json.dumps(point) for point in SPACE.points()]


def test_given_parameters_take_no_point_away():
    engine = make_engine("exhaustive", SPACE, SearchSettings())
    assert engine.ask(0, {"loss": "c"}) == {"loss": "c"}
    assert engine.ask(1) == next(SPACE.points())


@pytest.mark.parametrize("seed", [0, 1])
def test_a_grid_is_every_point_once_in_an_order_of_the_seed(seed):
    settings = SearchSettings(algorithm="grid", seed=seed)
    asked = all_of("optuna", settings)
    assert sorted(asked) == sorted(json.dumps(point) for point in SPACE.points())
    assert asked == all_of("optuna", settings)
    assert asked != all_of("optuna", SearchSettings(algorithm="grid", seed=seed + 1))


@pytest.mark.parametrize("name", ["exhaustive", "optuna"])
def test_an_infinite_space_is_refused_by_the_name_of_what_makes_it_so(name):
    space = SearchSpace.parse({"a": [1], "lr": {"low": 0.1, "high": 0.2}, "std": {"mean": 0, "std": 1}})
    with pytest.raises(ConfigError, match=r"search\.space: .*lr, std.*search\.algorithm=tpe"):
        make_engine(name, space, SearchSettings(algorithm="grid"))


def test_enumeration_learns_nothing_from_the_past():
    engine = make_engine("exhaustive", SPACE, SearchSettings())
    engine.observe([])
    with pytest.raises(ConfigError, match=r"search\.reuse=warm_start"):
        engine.observe([({"loss": "a"}, 1.0)])
