"""What can be done with a search space: count it, enumerate it, narrow it, change it, write it down."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.errors import ConfigError
from hft.search import Choice, Integer, Normal, Parameter, RawValue, SearchSpace, Uniform, canonical, space_changes

CONDITIONAL: dict[str, Any] = {
    "loss": ["infonce", "prob_margin", "margin"],
    "temperature": {"choices": [0.05, 0.1], "when": {"loss": "infonce"}},
    "margin": {"choices": [0.01, 0.02, 0.05], "when": {"loss": ["prob_margin", "margin"]}},
    "slope": {"choices": [1, 2], "when": {"margin": 0.01}},
    "layers": {"low": 0, "high": 2, "integer": True},
}


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Finite spaces in which each parameter may depend on any earlier one."""
    entries: dict[str, Any] = {}
    for position in range(draw(st.integers(1, 5))):
        values = draw(
            st.lists(st.one_of(st.integers(0, 5), st.sampled_from("abc")), min_size=1, max_size=3, unique=True)
        )
        node: dict[str, Any] = {"choices": values}
        if position and draw(st.booleans()):
            parent = f"p{draw(st.integers(0, position - 1))}"
            node["when"] = {parent: draw(st.sampled_from(entries[parent]["choices"]))}
        entries[f"p{position}"] = node
    return SearchSpace.parse(entries)


@given(spaces())
def test_the_size_is_the_number_of_distinct_points_and_all_are_contained(space):
    points = list(space.points())
    assert len({canonical(point) for point in points}) == len(points) == space.size
    assert all(space.contains(point) for point in points)
    assert all(space.active(point) == point for point in points)


@given(spaces())
def test_a_space_that_is_written_down_as_json_is_read_again_as_it_was(space):
    assert SearchSpace.parse(json.loads(json.dumps(space.to_dict()))) == space


@given(spaces(), st.data())
def test_no_point_is_lost_when_a_space_is_narrowed_to_all_of_it(space, data):
    best = data.draw(st.sampled_from(list(space.points())))
    assert space.narrowed(best, 1.0) == space


@given(spaces(), st.data())
def test_the_best_point_is_in_the_narrowed_space(space, data):
    best = data.draw(st.sampled_from(list(space.points())))
    assert space.narrowed(best, 0.3).contains(best)


def test_points_come_as_hydra_enumerates_them():
    space = SearchSpace.parse({"a": [1, 2], "b": ["x", "y"]})
    assert list(space.points()) == [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y")]


def test_a_parameter_whose_condition_fails_is_absent():
    space = SearchSpace.parse(CONDITIONAL)
    assert {"loss": "infonce", "temperature": 0.1, "layers": 0} in list(space.points())
    assert space.size == (2 + 2 * (2 + 1 + 1)) * 3
    every = {"loss": "infonce", "temperature": 0.1, "margin": 0.01, "slope": 1, "layers": 0, "other": 3}
    assert space.active(every) == {"loss": "infonce", "temperature": 0.1, "layers": 0}
    assert not space.contains({"loss": "infonce", "temperature": 0.1, "margin": 0.01, "layers": 0})
    assert not space.contains({"loss": "infonce", "layers": 0})


def test_counting_does_not_go_through_every_point():
    assert SearchSpace.parse({f"p{i}": list(range(10)) for i in range(30)}).size == 10**30


SIZES = [
    ({"low": 0, "high": 1}, None),
    ({"low": 1, "high": 1}, 1),
    ({"low": 0, "high": 1, "step": 0.1}, 11),
    ({"low": 0, "high": 1, "step": 0.3}, 4),
    ({"low": 1, "high": 10, "integer": True}, 10),
    ({"low": 1, "high": 10, "integer": True, "step": 4}, 3),
    ({"mean": 0, "std": 1, "step": 1}, None),
    ([None, 1], 2),
]


@pytest.mark.parametrize(("node", "size"), SIZES)
def test_the_size_of_a_range(node, size):
    space = SearchSpace.parse({"x": node})
    assert space.size == size
    if size is not None:
        assert len(list(space.points())) == size


def test_stepped_values_are_free_of_the_noise_of_floating_point():
    assert [p["x"] for p in SearchSpace.parse({"x": {"low": 0, "high": 0.5, "step": 0.1}}).points()] == [
        0.0, 0.1, 0.2, 0.3, 0.4, 0.5,
    ]  # fmt: skip


CONTAINED = [
    ({"low": 0, "high": 1}, 0.5, True),
    ({"low": 0, "high": 1}, 1.0, True),
    ({"low": 0, "high": 1}, 1.01, False),
    ({"low": 0, "high": 1}, True, False),
    ({"low": 0, "high": 1}, "0.5", False),
    ({"low": 0, "high": 1}, math.nan, False),
    ({"low": 0.1, "high": 1, "step": 0.3}, 0.1 + 2 * 0.3, True),
    ({"low": 0.1, "high": 1, "step": 0.3}, 0.3, False),
    ({"low": 1, "high": 9, "integer": True, "step": 2}, 3, True),
    ({"low": 1, "high": 9, "integer": True, "step": 2}, 4, False),
    ({"low": 1, "high": 9, "integer": True}, 1.5, False),
    ({"mean": 0, "std": 1}, -50.0, True),
    ({"mean": 0, "std": 1, "step": 0.5}, 0.75, False),
    ({"mean": 0, "std": 1, "log": True}, -1.0, False),
    ([1, "a", None], None, True),
    ([1, "a"], 1.0, True),
    ([1, "a"], True, False),
    ([1, "a"], "1", False),
]


@pytest.mark.parametrize(("node", "value", "is_in"), CONTAINED)
def test_a_value_is_in_its_range_or_not(node, value, is_in):
    assert SearchSpace.parse({"x": node}).contains({"x": value}) is is_in


NARROWED = [
    (Uniform(0.0, 10.0), 5.0, 0.2, Uniform(4.0, 6.0)),
    (Uniform(0.0, 10.0), 0.0, 0.2, Uniform(0.0, 2.0)),
    (Uniform(0.0, 10.0), 99.0, 0.2, Uniform(8.0, 10.0)),
    (Uniform(0.0, 1.0, step=0.1), 0.5, 0.2, Uniform(0.4, 0.6, step=0.1)),
    (Uniform(0.0, 1.0, step=0.5), 1.0, 0.01, Uniform(0.5, 1.0, step=0.5)),
    (Integer(0, 10), 5, 0.2, Integer(4, 6)),
    (Integer(1, 9, step=2), 5, 0.25, Integer(3, 7, step=2)),
    (Integer(3, 3), 3, 0.5, Integer(3, 3)),
    (Normal(0.0, 2.0), 3.0, 0.5, Normal(3.0, 1.0)),
    (Normal(0.0, 2.0, log=True), 1.0, 0.5, Normal(0.0, 1.0, log=True)),
    (Choice((1, 2, 4, 8, 16)), 4, 0.5, Choice((2, 4, 8))),
    (Choice((0.1, 0.01, 0.001)), 0.001, 0.1, Choice((0.01, 0.001))),
    (Choice(("a", "b", "c")), "b", 0.1, Choice(("a", "b", "c"))),
    (Choice((True, False)), True, 0.1, Choice((True, False))),
]


@pytest.mark.parametrize(("spec", "best", "share", "narrowed"), NARROWED)
def test_a_range_is_narrowed_around_the_best_value(spec, best, share, narrowed):
    assert SearchSpace((Parameter("x", spec),)).narrowed({"x": best}, share)["x"].spec == narrowed


@given(st.floats(1e-6, 1.0), st.floats(0.01, 1.0))
def test_a_logarithmic_range_is_narrowed_in_the_logarithm(best, share):
    spec = SearchSpace((Parameter("x", Uniform(1e-6, 1.0, log=True)),)).narrowed({"x": best}, share)["x"].spec
    assert isinstance(spec, Uniform)
    assert spec.log
    assert 1e-6 <= spec.low <= best * (1 + 1e-9)
    assert best * (1 - 1e-9) <= spec.high <= 1.0
    assert math.log(spec.high / spec.low) == pytest.approx(share * math.log(1e6), rel=1e-6)


def test_narrowing_drops_values_of_conditions_and_children_that_can_never_be():
    space = SearchSpace.parse(
        {
            "k": [1, 2, 3, 4],
            "near": {"choices": ["a"], "when": {"k": [1, 4]}},
            "far": {"choices": ["a"], "when": {"k": 4}},
        }
    )
    narrowed = space.narrowed({"k": 1, "near": "a"}, 0.1)
    assert list(narrowed.keys()) == ["k", "near"]
    assert narrowed["near"].when == {"k": (1,)}


def test_what_the_best_point_does_not_have_stays_whole():
    space = SearchSpace.parse(CONDITIONAL)
    narrowed = space.narrowed({"loss": "infonce", "temperature": 0.05, "layers": 0}, 0.1)
    assert narrowed["margin"] == space["margin"]


def test_a_parameter_is_added_or_takes_the_place_of_another():
    space = SearchSpace.parse({"a": [1], "+b": [2]})
    changed = space.with_parameters([Parameter("b", Choice((3,))), Parameter("c", Uniform(0, 1))])
    assert changed.to_dict() == {"a": [1], "b": [3], "c": {"low": 0, "high": 1}}
    assert space.to_dict() == {"a": [1], "+b": [2]}, "the space itself never changes"


def test_a_replaced_parent_takes_children_along_that_can_never_be():
    space = SearchSpace.parse(CONDITIONAL).with_parameters([Parameter("loss", Choice(("infonce", "margin")))])
    assert space["margin"].when == {"loss": ("margin",)}
    assert "margin" not in SearchSpace.parse(CONDITIONAL).with_parameters([Parameter("loss", Choice(("infonce",)))])


def test_a_replaced_child_keeps_its_condition():
    space = SearchSpace.parse(CONDITIONAL).with_parameters([Parameter("temperature", Uniform(0.01, 0.1))])
    assert space["temperature"] == Parameter("temperature", Uniform(0.01, 0.1), {"loss": ("infonce",)})


@pytest.mark.parametrize("when", [{"los": ("infonce",)}, {"loss": ("infonc",)}, {"layers": (1,)}])
def test_an_added_condition_that_can_never_hold_is_refused(when):
    with pytest.raises(ConfigError, match="when"):
        SearchSpace.parse(CONDITIONAL).with_parameters([Parameter("x", Choice((1,)), when)])


def test_leaving_out_a_parent_leaves_out_all_that_depends_on_it():
    assert list(SearchSpace.parse(CONDITIONAL).without(["loss"]).keys()) == ["layers"]
    assert "loss" not in SearchSpace.parse({"+loss": ["a"]}).without(["loss"])


def test_fixing_a_parent_keeps_the_children_whose_condition_it_meets():
    space = SearchSpace.parse(CONDITIONAL).with_fixed({"loss": "prob_margin", "other": 1})
    assert space.to_dict() == {
        "margin": [0.01, 0.02, 0.05],
        "slope": {"choices": [1, 2], "when": {"margin": [0.01]}},
        "layers": {"low": 0, "high": 2, "integer": True},
    }


def test_parameters_read_back_from_json_are_those_of_the_space_again():
    space = SearchSpace.parse({"a": [{"hydra": "${seed}"}, "${seed} "], "b": {"low": 0, "high": 1}, "c": [1.0, 2]})
    restored = space.restored(json.loads(json.dumps({"a": RawValue("${seed}"), "b": 1, "c": 1, "d": [1]})))
    assert restored == {"a": "${seed}", "b": 1.0, "c": 1.0, "d": [1]}
    assert [type(value) for value in restored.values()] == [RawValue, float, float, list]


def test_one_and_true_and_one_point_zero_are_three_parameter_sets():
    texts = {canonical({"x": value}) for value in (1, 1.0, True, "1", None)}
    assert len(texts) == 5
    assert canonical({"b": 1, "a": [None]}) == canonical({"a": [None], "b": 1}) == '{"a":[null],"b":1}'


@given(st.dictionaries(st.text(max_size=3), st.one_of(st.floats(allow_nan=False), st.integers(), st.none(), st.text())))
def test_a_parameter_sets_identity_survives_a_json_file(params):
    assert canonical(json.loads(json.dumps(params))) == canonical(params)


CHANGES = [
    ({"a": [1]}, {"a": [1]}, []),
    ({"a": [0.01, 0.02]}, {"a": [0.01]}, ["a: [0.01, 0.02] -> [0.01]"]),
    ({"a": [1]}, {"a": [1.0]}, ["a: [1] -> [1.0]"]),
    ({"a": [1]}, {}, ["a: [1] -> not in it any more"]),
    ({}, {"a": {"low": 0, "high": 1}}, ['a: not in it before -> {"low": 0, "high": 1}']),
    ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}, ["order of the parameters: a, b -> b, a"]),
    ({"a": ["x,y:z"]}, {"a": []}, ['a: ["x,y:z"] -> []']),
]


@pytest.mark.parametrize(("old", "new", "lines"), CHANGES)
def test_changes_of_a_space_are_told_in_words(old, new, lines):
    assert space_changes(old, new) == lines


def test_spaces_are_equal_by_what_they_hold():
    assert SearchSpace.parse({"a": [1]}) != SearchSpace.parse({"a": [True]})
    assert SearchSpace.parse({"a": [1]}) != SearchSpace.parse({"a": [1.0]})
    assert SearchSpace.parse({"a": [1], "b": [1]}) != SearchSpace.parse({"b": [1], "a": [1]})
    assert len({SearchSpace.parse({"a": [1]}), SearchSpace.parse({"a": [1]})}) == 1
    assert len(SearchSpace.parse({})) == 0
    assert SearchSpace.parse({}).size == 1


def test_a_key_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError):
        SearchSpace.parse({"a": [1]})["b"]


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("constant", [0.1, 1e-4, 1000.0])
def test_a_logarithmic_range_of_one_value_stays_that_value(constant, share):
    space = SearchSpace.parse({"x": {"low": constant, "high": constant, "log": True}})
    assert space.narrowed({"x": constant}, share) == space
