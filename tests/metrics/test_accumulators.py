"""MetricsAccumulator: last, mean, sliding mean, minimum and maximum of a stream."""

from __future__ import annotations

import pytest

from hft.metrics import MetricsAccumulator, mean_over_queries

ALL = ("last", "mean", "sliding", "min", "max")


def test_every_kind_follows_the_stream() -> None:
    accumulator = MetricsAccumulator(ALL, window=2)
    for value in (4.0, 1.0, 7.0):
        found = accumulator.update(value)
    assert found == {"last": 7.0, "mean": 4.0, "sliding": 4.0, "min": 1.0, "max": 7.0}
    assert accumulator.update(0.0) == {"last": 0.0, "mean": 3.0, "sliding": 3.5, "min": 0.0, "max": 7.0}


def test_only_the_kinds_asked_for_are_given() -> None:
    assert set(MetricsAccumulator(["mean", "sliding"]).update(1.0)) == {"mean", "sliding"}


def test_nothing_is_known_before_the_first_value() -> None:
    assert MetricsAccumulator(ALL).values() == {}


def test_a_restored_accumulator_goes_on_as_if_never_stopped() -> None:
    stopped, straight = MetricsAccumulator(ALL, window=3), MetricsAccumulator(ALL, window=3)
    for value in (0.1, 0.2, 0.7, 0.4):
        stopped.update(value)
        straight.update(value)
    restored = MetricsAccumulator(ALL, window=3)
    restored.load_state_dict(stopped.state_dict())
    assert restored.update(0.9) == straight.update(0.9)


def test_a_mean_over_queries_counts_those_without_a_value() -> None:
    mean = mean_over_queries([1.0, float("nan"), 0.0, float("nan")])
    assert mean.value == pytest.approx(0.5)
    assert (mean.queries, mean.left_out) == (2, 2)
