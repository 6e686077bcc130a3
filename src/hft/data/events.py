"""Events as users write them, turned into one weight for each result shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from hft.data.field_names import EventRecord

# What Hydra takes as one key of an override.
_KEY = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)

EventsAs = Literal["auto", "picked", "weights"]
GivenEvent = int | float | str | EventRecord

# Weights by type of event, after how much each costs a person; what only shows a result says nothing.
EVENT_WEIGHTS: Mapping[str, float] = {
    "click": 1.0,
    "cart": 3.0,
    "add_to_cart": 3.0,
    "purchase": 10.0,
    "impression": 0.0,
    "view": 0.0,
}

NOT_SHOWN = "an event on a result that was not shown"


def event_weights(
    events: Sequence[GivenEvent], results: Sequence[str], by_type: Mapping[str, float], events_as: EventsAs
) -> list[float] | str:
    """One weight a result (the highest where several events fall on one), or what is wrong.

    Args:
        events: objects, or ids of picked results, or one weight for each result. Where `auto` has to tell
            the last two apart: numbers, as many as results, are weights; all else are ids.
        results: ids shown.
        by_type: weight of an event by its type.
        events_as: what plain entries are.
    """
    if not events:
        return [0.0] * len(results)
    if isinstance(events[0], EventRecord):
        return _from_objects(events, results, by_type)
    if any(isinstance(event, EventRecord) for event in events):
        return "events of mixed kinds"
    plain = [event for event in events if not isinstance(event, EventRecord)]
    if are_weights(plain, results, events_as):
        return _from_weights(plain, results)
    weights = dict.fromkeys(results, 0.0)
    for picked in map(str, plain):
        if picked not in weights:
            return NOT_SHOWN
        weights[picked] = 1.0
    return [weights[result] for result in results]


def event_dwells(
    events: Sequence[GivenEvent], results: Sequence[str], by_type: Mapping[str, float]
) -> list[float | None] | None:
    """Seconds that the user stayed with each result, where events tell; None where none does.

    Of several events on a result the longest stay is the result's; None where one of them says nothing of its stay.
    Events of weight 0 (impressions) do not count.

    Args:
        events: those that event_weights took.
        results: ids shown.
        by_type: weight of an event by its type.
    """
    stays: dict[str, float | None] = {}
    for event in events:
        if not isinstance(event, EventRecord):
            return None
        weight = event.weight
        if weight is None:
            weight = 1.0 if event.type is None else by_type.get(event.type, 0.0)
        if weight > 0:
            stays[event.item_id] = longer_stay(stays.get(event.item_id, -1.0), event.dwell)
    if all(stay is None for stay in stays.values()):
        return None
    return [stays.get(result) for result in results]


def longer_stay(known: float | None, other: float | None) -> float | None:
    """The longer of two stays on a result, in seconds; None where one of them is not known."""
    return None if known is None or other is None else max(known, other)


def are_weights(events: Sequence[int | float | str], results: Sequence[str], events_as: EventsAs) -> bool:
    """Whether plain entries of events are weights for each result rather than ids of picked ones.

    Args:
        events: a list of texts counts too, for in a table's cell every entry is one; unless all are shown ids.
        results: ids shown.
        events_as: what they are said to be.
    """
    if events_as != "auto":
        return events_as == "weights"
    if len(events) != len(results):
        return False
    if not any(isinstance(event, str) for event in events):
        return True
    return set(map(str, events)) != set(results) and all(_number(event) is not None for event in events)


def _from_weights(events: Sequence[int | float | str], results: Sequence[str]) -> list[float] | str:
    if len(events) != len(results):
        return "as many weights as results were expected"
    weights = [_number(event) for event in events]
    if any(weight is None for weight in weights):
        return "a weight that is not a number"
    numbers = [weight for weight in weights if weight is not None]
    return "a negative weight" if min(numbers) < 0 else numbers


def _from_objects(
    events: Sequence[GivenEvent], results: Sequence[str], by_type: Mapping[str, float]
) -> list[float] | str:
    weights = dict.fromkeys(results, 0.0)
    for event in events:
        if not isinstance(event, EventRecord):
            return "events of mixed kinds"
        if event.item_id not in weights:
            return NOT_SHOWN
        weight = event.weight
        if weight is None:
            weight = 1.0 if event.type is None else by_type.get(event.type)
        if weight is None:
            return _unknown_type(str(event.type))
        weights[event.item_id] = max(weights[event.item_id], weight)
    return [weights[result] for result in results]


def _unknown_type(name: str) -> str:
    if _KEY.fullmatch(name):
        return f"unknown type of event {name!r}: give it a weight, +data.source.event_weights.{name}=3"
    return f"unknown type of event {name!r}: give it a weight in the config's file, under data.source.event_weights"


def _number(event: int | float | str) -> float | None:
    try:
        number = float(event)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None
