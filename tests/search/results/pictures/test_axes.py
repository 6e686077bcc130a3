"""Axes of the pictures: where values stand on them, which ticks they have, where they end."""

from __future__ import annotations

import math

import pytest

from hft.search.results.pictures.axes import linear_ticks, log_ticks, visible_range
from hft.search.results.pictures.data import SweepView
from hft.search.trial import Trial
from sweep_states import sweep_state


def test_choices_stand_in_their_order_and_1_is_not_true(tmp_path):
    values = ["b", "a", True, 1, 1.0, None]
    trials = [Trial(n, {"x": value}, "done", values=(0.1,)) for n, value in enumerate(reversed(values))]
    axis = SweepView.of(sweep_state(tmp_path, trials, {"x": values})).axes[0]
    assert [text for _, text in axis.ticks] == ["b", "a", "true", "1", "1.0", "null"]
    assert axis.positions == (5.0, 4.0, 3.0, 2.0, 1.0, 0.0)


def test_a_log_axis_is_logarithmic(tmp_path):
    space = {"lr": {"low": 1e-5, "high": 1e-1, "log": True}}
    trials = [Trial(n, {"lr": value}, "done", values=(0.1,)) for n, value in enumerate((1e-5, 1e-3, 1e-1))]
    axis = SweepView.of(sweep_state(tmp_path, trials, space)).axes[0]
    assert axis.positions == pytest.approx((-5, -3, -1))
    assert [text for _, text in axis.ticks] == ["1e-05", "0.0001", "0.001", "0.01", "0.1"]


def test_values_outside_of_the_range_widen_the_axis(tmp_path):
    trials = [Trial(n, {"x": x}, "done", values=(0.1,), source="enqueued") for n, x in enumerate((-1.0, 0.5, 3.0))]
    axis = SweepView.of(sweep_state(tmp_path, trials, {"x": {"low": 0, "high": 1}})).axes[0]
    assert (axis.low, axis.high) == (-1.0, 3.0)


def test_parameters_of_no_space_are_shown_too(tmp_path):
    trials = [Trial(n, {"x": 1, "extra": n}, "done", values=(n / 10,)) for n in (2, 0, 1)]
    view = SweepView.of(sweep_state(tmp_path, trials, {"x": [1]}))
    assert [(axis.key, axis.positions) for axis in view.axes] == [("x", (0.0,) * 3), ("extra", (2.0, 0.0, 1.0))]
    assert [axis.key for axis in view.varying] == ["extra"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 6, [0, 2, 4, 6]),
        (-3, 3, [-2, 0, 2]),
        (0.01, 0.05, [0.01, 0.02, 0.03, 0.04, 0.05]),
        (2, 2, [2]),
        (1e-9, 3e-9, [1e-9, 1.5e-9, 2e-9, 2.5e-9, 3e-9]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert linear_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e-6, 1e-2, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        (1e-4, 1e-3, [1e-4, 1e-3]),
        (1e-4, 9e-4, [1e-4, 2e-4, 5e-4]),
        (6e-5, 8e-5, [6e-5, 8e-5]),
        (1, 1e12, [1, 1e3, 1e6, 1e9, 1e12]),
        (0.5, 0.5, [0.5]),
    ],
)
def test_ticks_of_a_log_axis_are_powers(low, high, expected):
    assert log_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_hopeless_value_does_not_squeeze_the_others(sign):
    values = [sign * value for value in (1.0, 1.1, 1.2, 1.3, 1000.0)]
    low, high = visible_range(values, sign)
    assert low < min(sign * 1.0, sign * 1.3)
    assert high > max(sign * 1.0, sign * 1.3)
    assert high - low < 1


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-1e-12, 1e-12], [1e300, -1e300]])
def test_a_range_is_never_empty(values):
    low, high = visible_range(values, 1.0)
    assert math.isfinite(high - low)
    assert low < min(values) <= max(values) < high
