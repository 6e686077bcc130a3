"""The border at which a trial's value becomes one: nothing but a finite number a metric passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hft.search.trial import Outcome


def checked(outcome: Outcome, metrics: Sequence[str]) -> Outcome:
    """The outcome with plain finite values, or failed with a reason that says what was found instead.

    Args:
        outcome: as a launcher has it.
        metrics: names of the search's metrics; a trial that is done has a value for each.
    """
    if outcome.state == "failed":
        return replace(outcome, values=(), reason=outcome.reason or "failed without a reason")
    if outcome.state == "pruned":
        numbers = [number for value in outcome.values if (number := _number(value)) is not None]
        return replace(outcome, values=tuple(numbers[-1:]))
    if len(outcome.values) != len(metrics):
        reason = f"returned {len(outcome.values)} values for {len(metrics)} metrics ({', '.join(metrics)})"
        return replace(outcome, state="failed", values=(), reason=reason)
    for name, value in zip(metrics, outcome.values, strict=True):
        if _number(value) is None:
            reason = f"{name} is {value!r}, which is not a finite number"
            return replace(outcome, state="failed", values=(), reason=reason)
    return replace(outcome, values=tuple(float(value) for value in outcome.values))


def _number(value: Any) -> float | None:
    """A finite number as a float; None for anything else."""
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
