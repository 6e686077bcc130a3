"""What the pictures of a sweep show, before any of it is drawn: axes, positions on them, ticks in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hft.search.results.values_as_text import number_text, one_line, value_text
from hft.search.spaces.identity import canonical_value
from hft.search.specs import Choice, Parameter
from hft.search.trial import Trial

_LABEL_WIDTH = 22
# A choice of numbers in a few steps is told by its list, sampled numbers by their range.
_TICKS = 5
_ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """A parameter as an axis.

    Args:
        key: of the parameter.
        name: as the pictures call it.
        kind: `choice`: positions are 0, 1, .. in the order of the values; `log`: positions are decimal logarithms.
        positions: one a trial; None where the parameter is absent.
        of_pruned: the same of trials that were pruned.
        texts: the values in words, one a trial; `absent` where it is.
        ticks: positions with what is written there.
        low, high: ends of the axis.
    """

    key: str
    name: str
    kind: str
    positions: tuple[float | None, ...]
    texts: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]
    low: float
    high: float
    of_pruned: tuple[float | None, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether the trials differ in it."""
        return len(set(self.positions)) > 1

    @property
    def is_conditional(self) -> bool:
        """Whether some trials do without it."""
        return None in self.positions

    def split(self, count: int) -> Axis:
        """The axis of the first `count` trials, the others' positions as those of pruned ones."""
        return replace(
            self, positions=self.positions[:count], texts=self.texts[:count], of_pruned=self.positions[count:]
        )


def parameter_axis(key: str, name: str, parameter: Parameter | None, trials: Sequence[Trial]) -> Axis:
    """The axis of a parameter.

    Args:
        key: of the parameter.
        name: as the pictures call it.
        parameter: its place in the space; None: it is in none, the trials' values say what it is.
        trials: that are shown.
    """
    given = [trial.params[key] for trial in trials if key in trial.params]
    is_choice = parameter is None or isinstance(parameter.spec, Choice)
    if is_choice or not all(_is_number(value) for value in given):
        return _choice_axis(key, name, parameter, trials)
    assert parameter is not None
    log = bool(getattr(parameter.spec, "log", False)) and all(value > 0 for value in given)
    numbers = [None if key not in trial.params else float(trial.params[key]) for trial in trials]
    present = [number for number in numbers if number is not None]
    ends = [float(end) for name in ("low", "high") if (end := getattr(parameter.spec, name, None)) is not None]
    low, high = min([*present, *ends], default=0.0), max([*present, *ends], default=1.0)
    ticks = log_ticks(low, high) if log else linear_ticks(low, high)
    place = math.log10 if log else float
    return Axis(
        key, name, "log" if log else "linear",
        tuple(None if number is None else place(number) for number in numbers),
        tuple(value_text(trial.params[key]) if key in trial.params else "absent" for trial in trials),
        tuple((place(tick), number_text(tick)) for tick in ticks),
        place(low), place(high),
    )  # fmt: skip


def _choice_axis(key: str, name: str, parameter: Parameter | None, trials: Sequence[Trial]) -> Axis:
    listed = parameter.spec.values if parameter is not None and isinstance(parameter.spec, Choice) else ()
    given = [trial.params[key] for trial in trials if key in trial.params]
    if not listed:
        given = sorted(given, key=lambda value: (0, value) if _is_number(value) else (1, 0.0))
    # By identity in the sense of the space, where 1, 1.0 and true are three values.
    values = {canonical_value(value): value for value in [*listed, *given]}
    order = {identity: float(position) for position, identity in enumerate(values)}
    return Axis(
        key, name, "choice",
        tuple(order[canonical_value(t.params[key])] if key in t.params else None for t in trials),
        tuple(one_line(value_text(t.params[key]), 80) if key in t.params else "absent" for t in trials),
        tuple((order[identity], one_line(value_text(value), _LABEL_WIDTH)) for identity, value in values.items()),
        0.0, float(max(len(values) - 1, 1)),
    )  # fmt: skip


def linear_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, about five; the number itself where they are one."""
    if not high > low:
        return [low]
    magnitude = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step = next(step * magnitude for step in _ROUND_STEPS if (high - low) / (step * magnitude) <= _TICKS)
    first = math.ceil(low / step - 1e-9)
    # Rounded, since 3 * 0.1 is not 0.3.
    return [
        round(count * step, 12 - math.floor(math.log10(step)))
        for count in range(first, math.floor(high / step + 1e-9) + 1)
    ]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, or with fewer than two of them 1, 2 and 5 of each, or the ends; all positive."""
    if not high > low:
        return [low]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1.0,), (1.0, 2.0, 5.0)):
        ticks = [
            tick
            for power in powers
            for digit in digits
            if low * (1 - 1e-9) <= (tick := digit * 10.0**power) <= high * (1 + 1e-9)
        ]
        if len(ticks) > 2 or (digits == (1.0,) and len(ticks) == 2):
            return ticks[:: math.ceil(len(ticks) / (_TICKS + 1))]
    return [low, high]


def visible_range(values: Sequence[float], sign: float) -> tuple[float, float]:
    """Ends of an axis of values on which those that matter can be told apart: what is far worse than most is cut.

    Args:
        values: at least one.
        sign: -1.0 where higher is better.
    """
    costs = sorted(sign * value for value in values)
    best, middle, worst = costs[0], costs[len(costs) // 2], costs[-1]
    # Beyond four times the distance from the best to the middle one, single accidents squeeze all the rest.
    limit = best + 4.0 * (middle - best)
    shown = worst if middle == best or worst <= limit else max(cost for cost in costs if cost <= limit)
    ends = sorted((sign * best, sign * shown))
    margin = 0.06 * (ends[1] - ends[0]) or 0.05 * abs(ends[0]) or 0.5
    return ends[0] - margin, ends[1] + margin


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
