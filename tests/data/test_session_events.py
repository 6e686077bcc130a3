from __future__ import annotations

import pytest

from hft.data.events import EVENT_WEIGHTS, IDS_NOT_WEIGHTS, NOT_SHOWN, event_weights, given_weights
from hft.data.field_names import EventRecord


def objects(*events: tuple[str, str | None, float | None]) -> list[EventRecord]:
    return [EventRecord(item_id=item_id, type=kind, weight=weight) for item_id, kind, weight in events]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], [0, 0, 0]),
        (["b"], [0, 1, 0]),
        (["c", "a"], [1, 0, 1]),
        (["0", "1", "2"], IDS_NOT_WEIGHTS),
        (objects(("b", "cart", None)), [0, 3, 0]),
        (objects(("b", None, None), ("c", "click", 0.2)), [0, 1, 0.2]),
        (objects(("b", "click", None), ("b", "purchase", None), ("a", "impression", None)), [0, 10, 0]),
        (["z"], NOT_SHOWN),
        (objects(("z", "click", None)), NOT_SHOWN),
        ([*objects(("b", None, None)), "c"], "events of mixed kinds"),
        (["c", *objects(("b", None, None))], "events of mixed kinds"),
    ],
)
def test_events_become_one_weight_a_result(events: list[object], expected: object) -> None:
    assert event_weights(events, ["a", "b", "c"], EVENT_WEIGHTS) == expected  # type: ignore[arg-type]


def test_an_unknown_type_of_event_names_the_key() -> None:
    problem = event_weights(objects(("a", "hover", None)), ["a", "b"], EVENT_WEIGHTS)
    assert isinstance(problem, str)
    assert "'hover'" in problem
    assert "+data.source.event_weights.hover=3" in problem
    # No key of an override.
    problem = event_weights(objects(("a", "add to cart", None)), ["a", "b"], EVENT_WEIGHTS)
    assert isinstance(problem, str)
    assert "+" not in problem
    assert "data.source.event_weights" in problem


def test_entries_of_a_plain_list_are_ids_though_they_are_numbers_as_many_as_the_results():
    assert event_weights(["7", "7", "5"], ["5", "7", "9"], EVENT_WEIGHTS) == [1, 1, 0]
    assert event_weights(["1", "0"], ["0", "1"], EVENT_WEIGHTS) == [1, 1]


def test_weights_must_be_as_many_as_results_and_not_negative():
    assert given_weights([0, 2.5], ["a", "b"]) == [0, 2.5]
    assert given_weights([], ["a", "b"]) == [0, 0]
    assert given_weights([1.0], ["a", "b"]) == "as many weights as results were expected"
    assert given_weights([1.0, -1.0], ["a", "b"]) == "a negative weight"
