"""JSON as people's files have it, one value at a time; a name that stands twice in an object is a fault."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

# A name and its colon may be apart: then they cannot be counted by a look.
_APART = ('" ', '"\t', '"\r', '"\n')
_APART_AS_BYTES = tuple(each.encode() for each in _APART)


class RepeatedNameError(ValueError):
    """A name stands twice in an object, so that nobody knows which value is meant."""


def parse_json(text: bytes | str, *, allow_inf_nan: bool = False) -> Any:
    """The value of a text.

    Args:
        text: UTF-8 where it is bytes.
        allow_inf_nan: whether NaN and Infinity are numbers, which JSON does not know.

    Raises:
        ValueError: it is no JSON.
        RepeatedNameError: an object in it has one name twice; a ValueError.
    """
    value = from_json(text, allow_inf_nan=allow_inf_nan)
    if may_repeat_a_name(text, value):
        json.loads(text, object_pairs_hook=_distinct)
    return value


def may_repeat_a_name(text: bytes | str, value: Any) -> bool:
    """Whether a closer look is needed to tell that no object of a JSON text has one name twice; quick.

    Args:
        text: the text.
        value: what was parsed of it, in which the last of equal names has won.
    """
    if isinstance(text, bytes):
        return text.count(b'":') != _names(value) or any(each in text for each in _APART_AS_BYTES)
    return text.count('":') != _names(value) or any(each in text for each in _APART)


def _names(value: Any) -> int:
    """How many names the objects in a value have together."""
    if type(value) is dict:
        return len(value) + sum(_names(entry) for entry in value.values() if type(entry) in (dict, list))
    if type(value) is list:
        return sum(_names(entry) for entry in value if type(entry) in (dict, list))
    return 0


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise RepeatedNameError(f"the name {name!r} stands twice in an object")
        seen.add(name)
