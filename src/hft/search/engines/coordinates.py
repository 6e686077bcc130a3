"""What the algorithms see of a parameter: a number on a simple axis, and the way back to a value of its spec.

Both engines search the same axes: an index, a count of steps, a real interval (of logarithms where the spec says
so), or a normal axis. So a quantised value is always low + k * step whatever an engine rounds to, and a logarithm
is taken in one place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hft.search.spaces.enumeration import size_of, stepped, values_of
from hft.search.spaces.identity import same_value
from hft.search.specs import Choice, Integer, Normal, Spec

# Continuous values are rounded to a millionth of their range: readable, and far below what any metric resolves.
RESOLVED_DIGITS = 6
# exp() of more is infinite, of less than its negative zero.
LARGEST_LOG = 700.0


def readable(value: float, width: float, *, relative: bool = False) -> float:
    """Rounded to a millionth of `width`, or with `relative` of the value where that is finer."""
    if value == 0.0:
        return 0.0
    digits = RESOLVED_DIGITS - math.floor(math.log10(width))
    if relative:
        digits = max(digits, RESOLVED_DIGITS - math.floor(math.log10(abs(value))))
    return round(value, digits) + 0.0


def _number(value: Any) -> float | None:
    """A finite number as float; None for anything else (a bool is no number here)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class IndexAxis:
    """Position in a list of values: whole numbers 0 to count - 1 without order."""

    values: tuple[Any, ...]

    @property
    def count(self) -> int:
        return len(self.values)

    def encode(self, value: Any) -> int | None:
        """Position of a value; None: it is not in the list."""
        return next((index for index, own in enumerate(self.values) if same_value(own, value)), None)

    def decode(self, position: float) -> Any:
        return self.values[int(position)]


@dataclass(frozen=True)
class StepAxis:
    """Evenly spaced values: whole numbers k from 0 to count - 1 stand for low + k * step."""

    low: float
    step: float
    count: int
    is_integer: bool

    def encode(self, value: Any) -> int | None:
        """The nearest step; None: no number, or outside of the range."""
        number = _number(value)
        if number is None:
            return None
        position = round((number - self.low) / self.step)
        tolerance = 1e-9 * self.step
        inside = self.low - tolerance <= number <= self.low + (self.count - 1) * self.step + tolerance
        return position if inside else None

    def decode(self, position: float) -> Any:
        count = min(max(round(position), 0), self.count - 1)
        return int(self.low) + count * int(self.step) if self.is_integer else stepped(self.low, self.step, count)


@dataclass(frozen=True)
class IntervalAxis:
    """A real interval, of the value or of its natural logarithm; steps may be laid over the logarithm."""

    low: float
    high: float
    log: bool
    step: float | None = None
    count: int = 0
    is_integer: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """Of the axis. Half a step is added at each end, so that the outermost values get their share."""
        low, high = self.low, self.high
        if self.step is not None:
            low, high = max(low - self.step / 2, low / 2), stepped(low, self.step, self.count - 1) + self.step / 2
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def encode(self, value: Any) -> float | None:
        """Position on the axis; None: no number, or outside of the range."""
        number = _number(value)
        if number is None or not self.low <= number <= self.high:
            return None
        return math.log(number) if self.log else number

    def decode(self, position: float) -> Any:
        value = math.exp(position) if self.log else position
        if self.step is None:
            rounded = readable(value, self.high - self.low, relative=self.log)
            return min(max(rounded, self.low), self.high)
        count = min(max(round((value - self.low) / self.step), 0), self.count - 1)
        return int(self.low) + count if self.is_integer else stepped(self.low, self.step, count)


@dataclass(frozen=True)
class NormalAxis:
    """The whole line, normally distributed: of the value or of its natural logarithm, which leaves values above 0."""

    mean: float
    std: float
    log: bool
    step: float | None

    def encode(self, value: Any) -> float | None:
        """Position on the axis; None: no number, or with `log` none above 0."""
        number = _number(value)
        if number is None or not self.log:
            return number
        return math.log(number) if number > 0.0 else None

    def decode(self, position: float) -> float:
        value = math.exp(min(max(position, -LARGEST_LOG), LARGEST_LOG)) if self.log else position
        if self.step is None:
            return readable(value, self.std, relative=self.log)
        return stepped(0.0, self.step, max(round(value / self.step), 1 if self.log else -(2**62))) + 0.0


Axis = IndexAxis | StepAxis | IntervalAxis | NormalAxis


def axis_of(spec: Spec) -> Axis:
    """The axis on which a spec is searched. What has one value is a list of one."""
    if isinstance(spec, Normal):
        return NormalAxis(spec.mean, spec.std, spec.log, spec.step)
    size = size_of(spec)
    if isinstance(spec, Choice) or size == 1:
        return IndexAxis(tuple(values_of(spec)))
    is_integer = isinstance(spec, Integer)
    if size is not None and spec.step is not None and not spec.log:
        return StepAxis(spec.low, spec.step, size, is_integer)
    return IntervalAxis(float(spec.low), float(spec.high), spec.log, spec.step, size or 0, is_integer)
