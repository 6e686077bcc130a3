"""What a rule of the converter is, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs


@dataclass(frozen=True)
class Converted:
    """Sessions after a rule.

    Args:
        inputs: those that are left, as they are now.
        dropped: how many sessions were left out, by reason.
        changed: how much of what is left was changed, in words: "events with a dwell below 10 s do not count".
        notes: lines for people, such as a rule that the data gives no ground for.
    """

    inputs: FineTuningInputs
    dropped: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class SessionRule(Protocol):
    """Decides over sessions. Its arguments are its attributes, plain values: they are part of what data is known by."""

    def apply(self, inputs: FineTuningInputs) -> Converted:
        """The sessions that are left."""
        ...


def without(inputs: FineTuningInputs, out: NDArray[np.bool_], reason: str) -> Converted:
    """The sessions that are not `out` (bool[sessions]), the others counted under the reason."""
    count = int(out.sum())
    return Converted(inputs.select(~out), {reason: count}) if count else Converted(inputs)


def lacks(inputs: FineTuningInputs, column: str) -> bool:
    """Whether no session has a value in an optional column."""
    return bool(inputs.table.column(column).null_count == len(inputs))


def lacking_note(rule: str, column: str, what: str) -> str:
    """The line for people where a rule was asked for and no session has what it looks at."""
    return f"{rule}: no session has {what}, so nothing is left out by it (data.source.fields.{column} names the field)"
