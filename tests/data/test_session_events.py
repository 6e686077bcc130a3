from __future__ import annotations

import pytest

from hft.data.events import EVENT_WEIGHTS, NOT_SHOWN, event_weights
from hft.data.field_names import EventRecord


def objects(*events: tuple[str, str | None, float | None]) -> list[EventRecord]:
    return [EventRecord(item_id=item_id, type=kind, weight=weight) for item_id, kind, weight in events]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], [0, 0, 0]),
        (["b"], [0, 1, 0]),
        (["c", "a"], [1, 0, 1]),
        ([0, 0.5, 2], [0, 0.5, 2]),
        (["0", "0.5", "2"], [0, 0.5, 2]),
        ([True, False, True], [1, 0, 1]),
        (objects(("b", "cart", None)), [0, 3, 0]),
        (objects(("b", None, None), ("c", "click", 0.2)), [0, 1, 0.2]),
        (objects(("b", "click", None), ("b", "purchase", None), ("a", "impression", None)), [0, 10, 0]),
        (["z"], NOT_SHOWN),
        ([7], NOT_SHOWN),
        (objects(("z", "click", None)), NOT_SHOWN),
        ([0, -1, 2], "a negative weight"),
        ([*objects(("b", None, None)), "c"], "events of mixed kinds"),
        (["c", *objects(("b", None, None))], "events of mixed kinds"),
    ],
)
def test_events_become_one_weight_a_result(events: list[object], expected: object) -> None:
    assert event_weights(events, ["a", "b", "c"], EVENT_WEIGHTS, "auto") == expected  # type: ignore[arg-type]


def test_an_unknown_type_of_event_names_the_key() -> None:
    problem = event_weights(objects(("a", "hover", None)), ["a", "b"], EVENT_WEIGHTS, "auto")
    assert isinstance(problem, str)
    assert "'hover'" in problem
    assert "+data.source.event_weights.hover=3" in problem
    # No key of an override.
    problem = event_weights(objects(("a", "add to cart", None)), ["a", "b"], EVENT_WEIGHTS, "auto")
    assert isinstance(problem, str)
    assert "+" not in problem
    assert "data.source.event_weights" in problem


def test_numeric_ids_are_picks_where_they_are_said_to_be() -> None:
    assert event_weights([1, 0], ["0", "1"], EVENT_WEIGHTS, "picked") == [1, 1]
    assert event_weights([1, 0], ["0", "1"], EVENT_WEIGHTS, "auto") == [1, 0]
    assert event_weights([12], ["11", "12", "13"], EVENT_WEIGHTS, "auto") == [0, 1, 0]
    assert event_weights(["12", "11"], ["11", "12"], EVENT_WEIGHTS, "auto") == [1, 1]


def test_weights_must_be_as_many_as_results() -> None:
    assert event_weights([1.0], ["a", "b"], EVENT_WEIGHTS, "weights") == "as many weights as results were expected"
    assert event_weights(["x", "y"], ["a", "b"], EVENT_WEIGHTS, "weights") == "a weight that is not a number"
