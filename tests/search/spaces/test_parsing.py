"""The grammar of a search space, and everything that may be wrong with one."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from hft.errors import ConfigError
from hft.search import Choice, Integer, Normal, Parameter, RawValue, SearchSpace, Uniform

READ = [
    ([1, 2], Choice((1, 2))),
    ([None, "a=b, c", True, [1, "x,y"], 0.5], Choice((None, "a=b, c", True, [1, "x,y"], 0.5))),
    ([1, 1.0, True, "1"], Choice((1, 1.0, True, "1"))),
    ([{"hydra": "${seed}"}], Choice((RawValue("${seed}"),))),
    ({"choices": ["a"]}, Choice(("a",))),
    ({"low": 0, "high": 1}, Uniform(0.0, 1.0)),
    ({"low": 1e-5, "high": 1e-2, "log": True}, Uniform(1e-5, 1e-2, log=True)),
    ({"low": 0, "high": 1, "step": 0.25}, Uniform(0.0, 1.0, step=0.25)),
    ({"low": 2, "high": 2}, Uniform(2.0, 2.0)),
    ({"low": 1, "high": 8, "integer": True}, Integer(1, 8)),
    ({"low": 1.0, "high": 9.0, "integer": True, "step": 2}, Integer(1, 9, step=2)),
    ({"low": 1, "high": 64, "integer": True, "log": True}, Integer(1, 64, log=True)),
    ({"low": 0, "high": 1, "log": None, "step": None}, Uniform(0.0, 1.0)),
    ({"mean": 0, "std": 2}, Normal(0.0, 2.0)),
    ({"mean": -7.0, "std": 1.0, "log": True, "step": 0.5}, Normal(-7.0, 1.0, log=True, step=0.5)),
]


@pytest.mark.parametrize(("node", "spec"), READ)
def test_each_form_is_read(node, spec):
    found = SearchSpace.parse({"x": node})["x"].spec
    assert found == spec
    assert repr(found) == repr(spec), "types too: 1 is not 1.0"


def test_nested_mappings_and_dotted_keys_are_the_same():
    nested = SearchSpace.parse({"params": {"margin": [0.1], "items": {"lr": {"low": 0, "high": 1}}}})
    assert nested == SearchSpace.parse({"params.margin": [0.1], "params.items.lr": {"low": 0, "high": 1}})


def test_a_config_key_may_be_called_like_a_part_of_a_spec():
    assert list(SearchSpace.parse({"scheduler": {"step": [1, 2], "low": {"low": 0, "high": 1}}}).keys()) == [
        "scheduler.step",
        "scheduler.low",
    ]


def test_null_leaves_an_entry_out_that_another_file_brought():
    base = OmegaConf.create({"params": {"a": [1], "b": [2]}})
    merged = OmegaConf.to_container(OmegaConf.merge(base, {"params": {"a": None}}))
    assert list(SearchSpace.parse(merged).keys()) == ["params.b"]


def test_a_condition_is_read_with_the_parents_own_values_and_parents_come_first():
    space = SearchSpace.parse(
        {
            "params": {"margin": {"low": 0.01, "high": 0.05, "when": {"loss": "prob_margin", "params": {"k": 1}}}},
            "other": [1],
            "loss": ["infonce", "prob_margin"],
            "params.k": [1.0, 2.0],
        }
    )
    assert list(space.keys()) == ["loss", "params.k", "params.margin", "other"]
    assert space["params.margin"] == Parameter(
        "params.margin", Uniform(0.01, 0.05), {"loss": ("prob_margin",), "params.k": (1.0,)}
    )


def test_a_condition_finds_a_parent_that_is_written_with_a_plus():
    space = SearchSpace.parse({"+a": ["x", "y"], "b": {"choices": [1], "when": {"a": "x"}}})
    assert space["b"].when == {"+a": ("x",)}


# What is wrong, and what the message must say.
REFUSED = [
    ({"x": []}, "search.space.x: a choice of nothing; allowed: a list with at least one value"),
    ({"x": {"choices": 3}}, "x.choices: found 3; allowed: a list"),
    ({"x": {"choices": {"a": 1}}}, "x.choices"),
    ({"x": {"low": 3, "high": 1}}, "x: found low 3 above high 1; allowed: low <= high"),
    ({"x": {"low": 0, "high": 1, "log": True}}, "found log with low 0: there is no logarithm of it; allowed: low > 0"),
    (
        {"x": {"low": 0, "high": 1, "step": 0}},
        "x.step: found step 0 with a range of 1; allowed: 0 < step <= high - low",
    ),
    ({"x": {"low": 0, "high": 1, "step": 2}}, "found step 2"),
    ({"x": {"low": 0.5, "high": 2, "integer": True}}, "x.low: found 0.5 with integer: true; allowed: a whole number"),
    ({"x": {"low": 0, "high": 2, "step": 0.5, "integer": True}}, "x.step: found 0.5 with integer"),
    ({"x": {"low": 1, "high": 9, "step": 2, "integer": True, "log": True}}, "no step: whole numbers have 1"),
    ({"x": {"low": 0}}, "x.high: is missing"),
    ({"x": {"low": "0", "high": True}}, "x.low: found 0"),
    ({"x": {"low": "0", "high": True}}, "x.high: found true; allowed: a finite number"),
    ({"x": {"low": 0, "high": float("inf")}}, "x.high: found inf"),
    ({"x": {"low": 0, "high": 1, "log": "yes"}}, "x.log: found yes; allowed: true or false"),
    ({"x": {"mean": 0, "std": 0}}, "x.std: found 0; allowed: a number above 0"),
    ({"x": {"mean": 0, "std": 1, "step": -1}}, "x.step: found -1"),
    ({"x": {"mean": 0, "std": 1, "low": 0}}, "x.low: there is no such part of a spec; allowed: mean, std"),
    ({"x": {"choices": [1], "log": True}}, "x.log: there is no such part of a spec; allowed: choices, when"),
    (
        {"x": {"low": 0, "hihg": 1}},
        "x.hihg: there is no such part of a spec; allowed: low, high, log, integer, step, when (nearest: high)",
    ),
    ({"x": {"lo": 0, "hi": 1}}, "nearest: low"),
    ({"x": 3}, "x: found 3; allowed: a list [a, b]"),
    ({"x": 3}, "write x=3"),
    ({"params": {"x": "a"}}, "search.space.params.x: found a"),
    ({"x": {}}, "x: found an empty mapping"),
    ({"x": [{"a": 1}]}, "x: found the choice {'a': 1}; allowed: null, true or false, a number"),
    ({"x": [float("nan")]}, "x: found the choice nan"),
    ({"x": ["???"]}, "x: found the choice ???"),
    ({"x": [1, 2, 1]}, "x: the choice 1 stands twice"),
    ({"seed": [1, 2]}, "seed: a seed is never optimised"),
    ({"seed": [1, 2]}, "search.seeds=[0,1,2]"),
    ({"a.x": [1], "a": {"x": [2]}}, "a.x: is given twice"),
    (
        {"x": {"choices": [1], "when": {"los": "a"}}, "loss": ["a"]},
        "x.when: los is no parameter of the space; allowed: loss (nearest: loss)",
    ),
    ({"x": {"choices": [1], "when": {"y": 1}}, "y": {"low": 0, "high": 1}}, "x.when: y is no choice"),
    (
        {"x": {"choices": [1], "when": {"loss": "prob_margn"}}, "loss": ["prob_margin"]},
        "x.when.loss: never is prob_margn; allowed: prob_margin (nearest: prob_margin)",
    ),
    ({"x": {"choices": [1], "when": {"loss": True}}, "loss": [1]}, "x.when.loss: never is true; allowed: 1"),
    ({"x": {"choices": [1], "when": {"loss": []}}, "loss": ["a"]}, "x.when.loss: a list of no values"),
    ({"x": {"choices": [1], "when": "loss"}}, "x.when: found loss; allowed: a mapping"),
    ({"x": {"choices": [1], "when": {"x": 1}}}, "the conditions go in a circle: x -> x"),
    (
        {"x": {"choices": [1], "when": {"y": 1}}, "y": {"choices": [1], "when": {"x": 1}}},
        "the conditions go in a circle: x -> y -> x",
    ),
]


@pytest.mark.parametrize(("mapping", "says"), REFUSED)
def test_a_wrong_space_is_refused_with_what_was_found_and_what_is_allowed(mapping, says):
    with pytest.raises(ConfigError) as caught:
        SearchSpace.parse(mapping)
    assert says in str(caught.value)


def test_every_problem_is_told_at_once_and_one_that_follows_from_another_is_not():
    with pytest.raises(ConfigError) as caught:
        SearchSpace.parse(
            {"a": [], "b": {"low": 3, "high": 1}, "c": {"choices": [1], "when": {"a": 1}}}, where="hydra.sweeper.space"
        )
    assert str(caught.value).splitlines() == [
        "hydra.sweeper.space:",
        "  a: a choice of nothing; allowed: a list with at least one value",
        "  b: found low 3 above high 1; allowed: low <= high",
    ]


@pytest.mark.parametrize("mapping", [[1, 2], "x", None])
def test_a_space_that_is_no_mapping_is_refused(mapping):
    with pytest.raises(ConfigError, match=r"^search\.space: found .*allowed: a mapping"):
        SearchSpace.parse(mapping)


def test_a_step_as_long_as_the_range_is_allowed_whatever_its_last_digits_are():
    space = SearchSpace.parse({"x": {"low": 1.0, "high": 1.001, "step": 0.001}})
    assert [point["x"] for point in space.points()] == [1.0, 1.001]


def test_a_choice_that_no_override_can_hold_is_refused_at_once():
    with pytest.raises(ConfigError, match=r"x: found the choice .*control character"):
        SearchSpace.parse({"x": ["a", "b\nc"]})


def test_a_constant_stays_the_number_that_was_written():
    space = SearchSpace.parse({"x": {"low": 0.1234567890123456, "high": 0.1234567890123456}})
    assert list(space.points()) == [{"x": 0.1234567890123456}]


@pytest.mark.parametrize("ends", [{"low": -1e308, "high": 1e308}, {"low": 0, "high": 10**400, "integer": True}])
def test_a_range_beyond_real_numbers_is_refused(ends):
    with pytest.raises(ConfigError, match="finite number"):
        SearchSpace.parse({"x": ends})
