"""Nested settings as plain values, flat dotted keys, and the differences between two of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_ABSENT = "(absent)"


class Difference(NamedTuple):
    """A key under which two nested settings differ; a side that lacks it shows `(absent)`."""

    key: str
    first: Any
    second: Any


def plain(value: Any) -> Any:
    """Copies nested settings into what YAML and JSON hold: dict, list, str, int, float, bool, None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return value.item()  # a NumPy or torch scalar
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys and leaves of nested settings. A list is a leaf; an empty mapping too."""
    return dict(_leaves(settings, prefix))


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Keys under which two nested settings differ, in alphabetical order. Two NaN are equal; 1 and 1.0 too."""
    left, right = flatten(first), flatten(second)
    found = []
    for key in sorted(left.keys() | right.keys()):
        one, other = left.get(key, _ABSENT), right.get(key, _ABSENT)
        if not same(one, other):
            found.append(Difference(key, one, other))
    return found


def same(first: Any, second: Any) -> bool:
    """Equal to the last bit, with NaN equal to NaN and a flag never equal to a number."""
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    if isinstance(first, bool) != isinstance(second, bool):
        return False
    return bool(first == second)


def _leaves(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, name)
        else:
            yield name, value
