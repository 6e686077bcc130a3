"""When two values, or two parameter sets, are the same."""

from __future__ import annotations

import json
from typing import Any

from hft.search.specs import Params


def canonical(params: Params) -> str:
    """The identity of a parameter set: JSON with sorted keys, in which 1, 1.0 and true are three things.

    It is the same before and after the set was written to a JSON file.
    """
    return json.dumps(params, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


def canonical_value(value: Any) -> str:
    """The identity of one value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


def same_value(one: Any, other: Any) -> bool:
    """Whether two values mean the same: 1 and 1.0 do, 1 and true or "1" do not."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same_value(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) or (isinstance(one, str) and isinstance(other, str)) if one == other else False


def _plain(value: Any) -> Any:
    """NumPy's numbers, which engines may return, as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no value of a parameter: {value!r}")
