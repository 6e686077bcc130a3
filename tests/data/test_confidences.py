from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.data import ConstantConfidence, WindowConfidence

_lists = st.lists(st.lists(st.sampled_from([0.0, 0.0, 1.0, 3.0]), max_size=12), max_size=6)
_calculators = st.one_of(
    st.builds(ConstantConfidence, st.sampled_from([0.2, 1.0])),
    st.builds(WindowConfidence, st.integers(0, 5), st.sampled_from([0.01, 0.1, 1.0])),
)


def flat(lists: list[list[float]]) -> tuple[Any, Any]:
    events = np.array([event for entries in lists for event in entries], dtype=np.float32)
    return events, np.cumsum([0] + [len(entries) for entries in lists]).astype(np.int64)


@given(_calculators, _lists)
def test_confidences_are_above_0_and_at_most_1(calculator: Any, lists: list[list[float]]) -> None:
    confidences = calculator(*flat(lists))
    assert confidences.dtype == np.float32
    assert confidences.shape == (sum(map(len, lists)),)
    assert ((confidences > 0) & (confidences <= 1)).all()


@given(_calculators, _lists)
def test_a_session_has_the_same_confidences_whatever_its_neighbours(calculator: Any, lists: list[list[float]]) -> None:
    alone = [calculator(*flat([entries])) for entries in lists]
    assert np.array_equal(calculator(*flat(lists)), np.concatenate([*alone, np.zeros(0, np.float32)]))


@pytest.mark.parametrize("position", range(10))
def test_the_only_event_of_a_list_is_fully_believed_at_every_position(position: int) -> None:
    """Stretched between minimum and maximum it would get 0 at every position but the first."""
    events = [0.0] * 10
    events[position] = 1.0
    assert WindowConfidence(window_size=2, floor=0.1)(*flat([events]))[position] == 1.0


def test_results_near_events_are_believed_more() -> None:
    confidences = WindowConfidence(window_size=1, floor=0.1)(*flat([[1, 0, 1, 0, 0, 0, 1, 0]]))
    assert confidences == pytest.approx([0.5, 1.0, 0.5, 0.5, 0.1, 0.5, 0.5, 0.5])


@given(_lists, st.integers(0, 4))
def test_window_confidences_equal_a_plain_count(lists: list[list[float]], window: int) -> None:
    expected = []
    for entries in lists:
        near = [
            sum(entry > 0 for entry in entries[max(place - window, 0) : place + window + 1])
            for place in range(len(entries))
        ]
        most = max(near, default=0)
        expected += [max(count / most, 0.1) if most else 1.0 for count in near]
    assert WindowConfidence(window, 0.1)(*flat(lists)).tolist() == pytest.approx(expected)


def test_a_session_without_events_is_left_as_it_is() -> None:
    assert WindowConfidence()(*flat([[0, 0, 0], [0, 1]])).tolist() == pytest.approx([1, 1, 1, 1, 1])
