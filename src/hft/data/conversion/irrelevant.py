"""Sessions that their source flags as irrelevant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hft.data.conversion.rule import Converted, without

if TYPE_CHECKING:
    from hft.data.inputs import FineTuningInputs


class IrrelevantSessions:
    """What becomes of sessions flagged as irrelevant.

    Args:
        action: `keep` them without their events (params.not_irrelevant_only says whether training uses them), or `drop`
            them: they are in no split then.
    """

    def __init__(self, action: Literal["keep", "drop"] = "keep") -> None:
        self.action = action

    def apply(self, inputs: FineTuningInputs) -> Converted:
        """Leaves them out where that was asked for."""
        if self.action == "keep":
            return Converted(inputs)
        return without(inputs, inputs.is_irrelevant, "sessions flagged as irrelevant")
