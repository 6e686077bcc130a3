"""Shifts: what was picked should come closer, what irrelevant sessions were shown should move away."""

from __future__ import annotations

import numpy as np
import pytest

from hft.metrics import IrrelevantDistShift, NotIrrelevantDistShift, mean_over_queries

START = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
NOW = np.array([0.3, 0.1, 0.7, 0.4, 0.4, 0.3])
EVENTS = np.array([1.0, 0.0, 2.0, 0.0, 1.0, 0.0])
OFFSETS = np.array([0, 3, 4, 6])


def test_the_shift_of_a_session_is_the_mean_over_its_events() -> None:
    values = NotIrrelevantDistShift()(START, NOW, EVENTS, OFFSETS, [False, False, True], 1.0)
    assert values[0] == pytest.approx((0.2 + 0.4) / 2)


def test_irrelevant_sessions_count_all_results_and_the_other_way() -> None:
    values = IrrelevantDistShift()(START, NOW, EVENTS, OFFSETS, [False, False, True], 1.0)
    assert values[2] == pytest.approx((0.1 + 0.3) / 2)


def test_a_distance_turns_the_sign() -> None:
    for shift in (NotIrrelevantDistShift(), IrrelevantDistShift()):
        similarity = shift(START, NOW, EVENTS, OFFSETS, [False, False, True], 1.0)
        distance = shift(START, NOW, EVENTS, OFFSETS, [False, False, True], -1.0)
        np.testing.assert_allclose(distance, -similarity)


def test_sessions_that_do_not_count_are_absent_not_zero() -> None:
    kept = NotIrrelevantDistShift()(START, NOW, EVENTS, OFFSETS, [False, False, True], 1.0)
    assert np.isnan(kept).tolist() == [False, True, True]
    irrelevant = IrrelevantDistShift()(START, NOW, EVENTS, OFFSETS, [False, False, False], 1.0)
    assert mean_over_queries(irrelevant).value is None


def test_names_are_as_logged() -> None:
    assert NotIrrelevantDistShift().name == "not_irrelevant_dist_shift"
    assert IrrelevantDistShift().name == "irrelevant_dist_shift"
