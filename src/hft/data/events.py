"""Events as users write them, turned into one weight for each result shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hft.data.field_names import EventRecord

# What Hydra takes as one key of an override.
_KEY = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)


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
IDS_NOT_WEIGHTS = (
    f"{NOT_SHOWN} (entries of a plain list are ids; where they are weights, one a result, name their field: "
    "data.source.fields.weights=NAME)"
)


def event_weights(
    events: Sequence[str | EventRecord], results: Sequence[str], by_type: Mapping[str, float]
) -> list[float] | str:
    """One weight a result (the highest where several events fall on one), or what is wrong.

    Args:
        events: objects, or ids of picked results.
        results: ids shown.
        by_type: weight of an event by its type.
    """
    if not events:
        return [0.0] * len(results)
    objects = [event for event in events if isinstance(event, EventRecord)]
    if objects:
        return _from_objects(objects, results, by_type) if len(objects) == len(events) else "events of mixed kinds"
    weights = dict.fromkeys(results, 0.0)
    picked = [event for event in events if isinstance(event, str)]
    if any(event not in weights for event in picked):
        looks_like_weights = len(picked) == len(results) and all(_is_number(event) for event in picked)
        return IDS_NOT_WEIGHTS if looks_like_weights else NOT_SHOWN
    chosen = set(picked)
    return [1.0 if result in chosen else 0.0 for result in results]


def given_weights(weights: Sequence[float], results: Sequence[str]) -> list[float] | str:
    """The weights of the field that `fields.weights` names, one a result; or what is wrong with them."""
    if not weights:
        return [0.0] * len(results)
    if len(weights) != len(results):
        return "as many weights as results were expected"
    return "a negative weight" if min(weights) < 0 else [float(weight) for weight in weights]


def event_dwells(
    events: Sequence[object], results: Sequence[str], by_type: Mapping[str, float]
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


def _from_objects(
    events: Sequence[EventRecord], results: Sequence[str], by_type: Mapping[str, float]
) -> list[float] | str:
    weights = dict.fromkeys(results, 0.0)
    for event in events:
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


def _is_number(event: str) -> bool:
    try:
        return abs(float(event)) < float("inf")
    except ValueError:
        return False
