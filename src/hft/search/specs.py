"""What one parameter of a search may be: a choice, or a distribution. Engine-neutral, plain values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Values by dotted config key (or group). A parameter whose condition does not hold is absent, not None.
Params = dict[str, Any]


class RawValue(str):
    """A value that is written in Hydra's override grammar already, taken over as it stands."""


@dataclass(frozen=True)
class Choice:
    """One of a list, all as likely. A value may be None, a bool, a number, a string or a list."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Uniform:
    """A real number in [low, high].

    Args:
        low, high: the ends, both included.
        log: uniform in the logarithm.
        step: rounds to low + k * step; None: continuous.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None


@dataclass(frozen=True)
class Integer:
    """A whole number in [low, high], both included.

    Args:
        low, high: the ends.
        log: uniform in the logarithm (step is 1 then).
        step: low + k * step.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1


@dataclass(frozen=True)
class Normal:
    """A real number around a mean.

    Args:
        mean, std: of the value, or with `log` of its natural logarithm.
        log: log-normal.
        step: rounds to k * step; None: continuous.
    """

    mean: float
    std: float
    log: bool = False
    step: float | None = None


Spec = Choice | Uniform | Integer | Normal


@dataclass(frozen=True)
class Parameter:
    """A config key and what it may be.

    Args:
        key: dotted config key (`params.items_lr`) or group (`loss`, `data/splitter`); may carry Hydra's `+`.
        spec: its values.
        when: it exists only where each of these other parameters has one of the values listed for it.
    """

    key: str
    spec: Spec
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
