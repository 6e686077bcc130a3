"""A range around a point: what the next stage of a search looks at."""

from __future__ import annotations

import math
from typing import Any

from hft.search.spaces.enumeration import size_of, stepped
from hft.search.specs import Choice, Integer, Normal, Spec, Uniform


def narrowed_spec(spec: Spec, best: Any, share: float) -> Spec:
    """The part of a range that lies around a value; see SearchSpace.narrowed.

    Args:
        spec: the range.
        best: a value, of the spec or not.
        share: of the width, 0 < share <= 1.
    """
    if isinstance(spec, Choice):
        return _nearest_choices(spec, best, share)
    if isinstance(best, bool) or not isinstance(best, int | float):
        return spec
    if isinstance(spec, Normal):
        if spec.log and best <= 0:
            return spec
        return Normal(math.log(best) if spec.log else float(best), spec.std * share, spec.log, spec.step)
    low, high = _around(spec.low, spec.high, best, share, is_log=spec.log)
    if isinstance(spec, Integer):
        return _whole(spec, low, high)
    return _on_steps(spec, low, high)


def _around(low: float, high: float, best: float, share: float, *, is_log: bool) -> tuple[float, float]:
    if share == 1.0:
        return low, high
    start, end = (math.log(low), math.log(high)) if is_log else (low, high)
    inside = min(max(best, low), high)
    width = (end - start) * share
    centre = math.log(inside) if is_log else inside
    first = min(max(centre - width / 2, start), end - width)
    ends = (math.exp(first), math.exp(first + width)) if is_log else (first, first + width)
    # The point and the ends of the whole range stay inside, whatever a logarithm and its inverse make of them.
    return max(min(ends[0], inside), low), min(max(ends[1], inside), high)


def _whole(spec: Integer, low: float, high: float) -> Integer:
    """Widened to the next whole steps, so that a small share still has neighbours to try."""
    last = (spec.high - spec.low) // spec.step
    first = max(0, math.floor((low - spec.low) / spec.step + 1e-9))
    end = min(last, math.ceil((high - spec.low) / spec.step - 1e-9))
    return Integer(spec.low + first * spec.step, spec.low + end * spec.step, spec.log, spec.step)


def _on_steps(spec: Uniform, low: float, high: float) -> Uniform:
    size = size_of(spec)
    if spec.step is None or size is None:
        return Uniform(low, high, spec.log)
    first = max(0, math.floor((low - spec.low) / spec.step + 1e-9))
    end = min(size - 1, max(first + 1, math.ceil((high - spec.low) / spec.step - 1e-9)))
    first = min(first, end - 1) if size > 1 else first
    return Uniform(stepped(spec.low, spec.step, first), stepped(spec.low, spec.step, end), spec.log, spec.step)


def _nearest_choices(spec: Choice, best: Any, share: float) -> Choice:
    numbers = [v for v in spec.values if isinstance(v, int | float) and not isinstance(v, bool)]
    is_number = isinstance(best, int | float) and not isinstance(best, bool)
    if len(numbers) != len(spec.values) or not is_number:
        return spec
    count = min(len(numbers), max(2, math.ceil(share * len(numbers))))
    position = sorted(numbers).index(min(numbers, key=lambda v: abs(v - best)))
    by_rank = {value: abs(rank - position) for rank, value in enumerate(sorted(numbers))}
    kept = sorted(numbers, key=lambda v: (by_rank[v], abs(v - best)))[:count]
    return Choice(tuple(v for v in spec.values if v in kept))
