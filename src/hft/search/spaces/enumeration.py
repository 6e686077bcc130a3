"""The values that a parameter can take, where they can be counted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from hft.search.spaces.identity import same_value
from hft.search.specs import Choice, Integer, Normal, Spec, Uniform

# Steps are counted, and values compared, up to the noise of floating point.
NOISE = 1e-9


def stepped(low: float, step: float, count: int) -> float:
    """`low + count * step`, without the last digits' noise: 0.3, not 0.30000000000000004."""
    return float(f"{low + count * step:.12g}") if count else low


def size_of(spec: Spec) -> int | None:
    """How many values there are; None: they cannot be counted."""
    if isinstance(spec, Choice):
        return len(spec.values)
    if isinstance(spec, Integer):
        return (spec.high - spec.low) // spec.step + 1
    if isinstance(spec, Uniform):
        if spec.low == spec.high:
            return 1
        return None if spec.step is None else math.floor((spec.high - spec.low) / spec.step + NOISE) + 1
    return None


def values_of(spec: Spec) -> Iterator[Any]:
    """All values, from the first choice or the low end on. Only where `size_of` counts them."""
    if isinstance(spec, Choice):
        yield from spec.values
    elif isinstance(spec, Integer):
        yield from range(spec.low, spec.high + 1, spec.step)
    elif isinstance(spec, Uniform) and (size := size_of(spec)) is not None:
        yield from (stepped(spec.low, spec.step or 0.0, count) for count in range(size))
    else:
        raise ValueError(f"the values of {spec} cannot be counted")


def is_value_of(spec: Spec, value: Any) -> bool:
    """Whether a parameter can take a value, but for the noise of floating point."""
    if isinstance(spec, Choice):
        return any(same_value(own, value) for own in spec.values)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    if isinstance(spec, Normal):
        return not (spec.log and value <= 0) and _is_whole(value / spec.step if spec.step else 0.0)
    room = NOISE * max(abs(spec.low), abs(spec.high))
    if not spec.low - room <= value <= spec.high + room:
        return False
    if isinstance(spec, Integer):
        return value == int(value) and (int(value) - spec.low) % spec.step == 0
    return _is_whole((value - spec.low) / spec.step if spec.step else 0.0)


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) <= 1e-6
