"""What the engines refuse, and what they say."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from typing import Any

import pytest

from hft.errors import ConfigError
from hft.search.engines import make_engine
from hft.search.engines.options import OPTIONS
from hft.search.settings import ALGORITHMS, SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Choice, Integer, Parameter, Uniform
from hft.search.trial import Outcome

SPACE = SearchSpace.parse({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}, "z": ["a", "b"]})
TWO: dict[str, Any] = {"metric": ("ndcg", "seconds"), "direction": ("maximize", "minimize")}

REFUSED = [
    ("hyperopt", {"algorithm": "cmaes"}, r"search\.algorithm: found 'cmaes'.*tpe, random, anneal.*hft_optuna has it"),
    ("optuna", {"algorithm": "anneal"}, r"search\.algorithm: found 'anneal'.*hft_hyperopt has it"),
    ("optuna", {"algorithm": "cmase"}, r"nearest: 'cmaes'"),
    ("hyperopt", {"algorithm_options": {"gama": 0.1}}, r"search\.algorithm_options\.gama: .*nearest: 'gamma'"),
    ("hyperopt", {"algorithm_options": {"gamma": "a"}}, r"algorithm_options\.gamma: found 'a'; allowed: a number"),
    ("hyperopt", {"algorithm_options": {"n_startup_jobs": 2.5}}, r"n_startup_jobs: found 2\.5; allowed: a whole"),
    ("hyperopt", {"algorithm": "random", "algorithm_options": {"gamma": 1}}, r"allowed: none"),
    ("hyperopt", {"algorithm": "anneal", "algorithm_options": {"avg_best_idx": 0.5}}, r"a number, at least 1\.0"),
    ("optuna", {"algorithm": "cmaes", "algorithm_options": {"popsize": 2}}, r"a whole number, at least 4"),
    ("optuna", {"algorithm_options": {"seed": 3}}, r"search\.algorithm_options\.seed: "),
    ("optuna", {"algorithm_options": {"group": True, "multivariate": False}}, r"search\.algorithm_options: "),
    ("optuna", {"algorithm": "qmc", "algorithm_options": {"qmc_type": "lattice"}}, r"search\.algorithm_options: "),
    ("hyperopt", TWO, r"search\.metric: .*ndcg, seconds.*hydra/sweeper=hft_optuna"),
    ("optuna", {**TWO, "algorithm": "cmaes"}, r"search\.algorithm: cmaes optimises one metric"),
    ("optuna", {"metric": ("a", "b")}, r"search\.direction: found 1 for 2 metrics"),
]


@pytest.mark.parametrize(("engine", "options", "message"), REFUSED, ids=[case[2] for case in REFUSED])
def test_refused(engine, options, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        make_engine(engine, SPACE, SearchSettings(**options))


def test_every_wrong_option_is_named_at_once():
    settings = SearchSettings(algorithm_options={"gama": 1, "n_startup_jobs": 0})
    with pytest.raises(ConfigError, match=r"(?s)gama.*n_startup_jobs"):
        make_engine("hyperopt", SPACE, settings)


@pytest.mark.parametrize(
    "space",
    [
        {"z": ["a", "b"]},
        {"x": {"low": 0.0, "high": 1.0}, "z": ["a", "b"]},
        {"x": {"low": 0.0, "high": 1.0}, "z": ["a", "b"], "y": {"low": 0.0, "high": 1.0, "when": {"z": "a"}}},
    ],
    ids=["no number", "one number", "one of two is conditional"],
)
def test_cmaes_needs_two_numbers_in_every_trial(space):
    with pytest.raises(ConfigError, match=r"search\.algorithm: cmaes .*at least two.*choose search\.algorithm=tpe"):
        make_engine("optuna", SearchSpace.parse(space), SearchSettings(algorithm="cmaes"))


GIVEN = {int: 5, float: 1.5, bool: True, str: "halton"}


@pytest.mark.parametrize(
    ("engine", "algorithm", "option"),
    [(engine, name, option) for engine in OPTIONS for name in OPTIONS[engine] for option in OPTIONS[engine][name]],
)
def test_every_option_that_is_allowed_works(engine, algorithm, option):
    value = GIVEN[OPTIONS[engine][algorithm][option]]
    settings = SearchSettings(algorithm=algorithm, algorithm_options={option: value})
    proposing = make_engine(engine, SPACE, settings)
    for number in range(25):
        assert SPACE.contains(proposing.ask(number) or {})
        proposing.tell(number, Outcome("done", (float(number),)))


def test_options_are_listed_for_every_algorithm():
    assert {engine: tuple(algorithms) for engine, algorithms in OPTIONS.items()} == ALGORITHMS


@pytest.mark.parametrize(("engine", "algorithm"), [(e, a) for e in ALGORITHMS for a in ALGORITHMS[e] if a != "grid"])
def test_nothing_is_logged_or_warned(engine, algorithm, caplog):
    caplog.set_level(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proposing = make_engine(engine, SPACE, SearchSettings(algorithm=algorithm))
        for number in range(25):
            proposing.ask(number)
            proposing.tell(number, Outcome("done", (float(number % 7),)))
    assert caplog.records == []


def test_optuna_speaks_as_before_to_an_application_that_uses_it():
    import optuna

    before = optuna.logging.get_verbosity()
    make_engine("optuna", SPACE, SearchSettings()).ask(0)
    assert optuna.logging.get_verbosity() == before


def test_an_unknown_engine_is_our_own_mistake():
    with pytest.raises(ValueError, match="no engine 'nevergrad'"):
        make_engine("nevergrad", SPACE, SearchSettings())


@pytest.mark.parametrize(("engine", "algorithm"), [("hyperopt", "tpe"), ("optuna", "tpe"), ("optuna", "grid")])
def test_a_space_without_parameters_is_no_search(engine, algorithm):
    with pytest.raises(ConfigError, match=r"search\.space: nothing is left to search"):
        make_engine(engine, SearchSpace(()), SearchSettings(algorithm=algorithm))


def test_an_enumeration_of_nothing_is_one_point():
    proposing = make_engine("exhaustive", SearchSpace(()), SearchSettings())
    assert [proposing.ask(number) for number in range(2)] == [{}, None]


def test_no_engine_is_imported_before_it_is_made():
    code = (
        "import sys, hft.search.engines; "
        "print([name for name in ('hyperopt', 'optuna', 'numpy', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("engine", ["hyperopt", "optuna"])
def test_contradicting_conditions_and_extreme_ranges_are_searched(engine):
    conditional = SearchSpace(
        (
            Parameter("a", Choice((1, 2))),
            Parameter("b", Choice((1, 2)), {"a": (1,)}),
            Parameter("never", Uniform(0.0, 1.0), {"a": (2,), "b": (1,)}),
            Parameter("many", Integer(0, 10**9)),
            Parameter("tiny", Uniform(0.0, 1e-12)),
            Parameter("huge", Uniform(-1e100, 1e100)),
        )
    )
    proposing = make_engine(engine, conditional, SearchSettings())
    for number in range(40):
        params = proposing.ask(number) or {}
        assert conditional.contains(params)
        assert "never" not in params
        proposing.tell(number, Outcome("done", (float(number % 9),)))
