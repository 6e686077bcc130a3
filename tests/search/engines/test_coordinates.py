"""A value and its position on an axis stand for each other."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.search.engines.coordinates import IndexAxis, IntervalAxis, NormalAxis, StepAxis, axis_of
from hft.search.spaces.enumeration import is_value_of
from hft.search.specs import Choice, Integer, Normal, Uniform

SPECS = [
    Choice((None, True, "a", [1, 2], 0.5)),
    Uniform(0.0, 1.0),
    Uniform(-3.0, 1e6),
    Uniform(1e-6, 1e-1, log=True),
    Uniform(0.1, 0.95, step=0.1),
    Uniform(0.01, 1.0, log=True, step=0.01),
    Integer(-4, 9),
    Integer(2, 30, step=7),
    Integer(1, 1000, log=True),
    Normal(0.0, 1.0),
    Normal(-2.0, 0.5, log=True),
    Normal(3.0, 10.0, step=0.25),
    Normal(0.0, 2.0, log=True, step=0.5),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(share=st.floats(-0.2, 1.2))
def test_every_position_is_a_value_of_the_spec_and_comes_back(spec, share):
    axis = axis_of(spec)
    if isinstance(axis, IntervalAxis):
        low, high = axis.ends
        position = low + share * (high - low)
    elif isinstance(axis, NormalAxis):
        position = axis.mean + axis.std * 8 * (share - 0.5)
    else:
        position = float(min(max(round(share * axis.count), 0), axis.count - 1))
    value = axis.decode(position)
    assert is_value_of(spec, value)
    again = axis.encode(value)
    assert again is not None
    assert axis.decode(again) == value


@pytest.mark.parametrize(
    ("spec", "axis"),
    [
        (Choice(("a",)), IndexAxis(("a",))),
        (Integer(3, 3), IndexAxis((3,))),
        (Integer(3, 5, step=4), IndexAxis((3,))),
        (Uniform(0.5, 0.5), IndexAxis((0.5,))),
        (Integer(0, 9), StepAxis(0, 1, 10, is_integer=True)),
        (Uniform(0.0, 0.3, step=0.1), StepAxis(0.0, 0.1, 4, is_integer=False)),
    ],
    ids=str,
)
def test_the_axis_of(spec, axis):
    assert axis_of(spec) == axis


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        (Choice((1, "a")), True),
        (Choice((1, "a")), "b"),
        (Uniform(0.0, 1.0), 1.5),
        (Uniform(0.0, 1.0), "0.5"),
        (Uniform(0.0, 1.0), None),
        (Uniform(0.0, 1.0), math.nan),
        (Integer(0, 4), 5),
        (Integer(0, 4), True),
        (Normal(0.0, 1.0), math.inf),
        (Normal(0.0, 1.0, log=True), -1.0),
    ],
    ids=str,
)
def test_what_a_spec_cannot_hold_has_no_position(spec, value):
    assert axis_of(spec).encode(value) is None


def test_steps_are_decimal():
    axis = axis_of(Uniform(0.0, 1.0, step=0.1))
    assert [axis.decode(position) for position in range(4)] == [0.0, 0.1, 0.2, 0.3]


def test_log_integers_are_drawn_in_proportion_to_their_share_of_the_logarithm():
    axis = axis_of(Integer(1, 3, log=True))
    assert isinstance(axis, IntervalAxis)
    assert axis.ends == pytest.approx((math.log(0.5), math.log(3.5)))


def test_a_choice_position_means_one_and_one_point_zero_alike():
    assert axis_of(Choice((1, 2))).encode(1.0) == 0
