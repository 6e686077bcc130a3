"""Visits too short to mean anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from hft.data.conversion.rule import Converted, lacking_note, lacks

if TYPE_CHECKING:
    from hft.data.inputs import FineTuningInputs


class DwellThreshold:
    """An event with a dwell below the threshold does not count: who is back at once has not found it.

    A result counts by the longest stay of the events on it; one without a known stay keeps its events. A session that
    loses all its events stays, as one without an event.

    Args:
        seconds: the threshold; 0 lets every event count.
    """

    def __init__(self, seconds: Annotated[float, Field(ge=0.0)] = 0.0) -> None:
        self.seconds = seconds

    def apply(self, inputs: FineTuningInputs) -> Converted:
        """Takes the weight of short visits away."""
        if self.seconds <= 0:
            return Converted(inputs)
        if lacks(inputs, "dwell"):
            return Converted(inputs, notes=(lacking_note("dwell threshold", "event_dwell", "an event with a dwell"),))
        events = inputs.flat_events
        # A comparison with NaN, no known stay, is false.
        short = (inputs.flat_dwell < np.float32(self.seconds)) & (events > 0)
        if not short.any():
            return Converted(inputs)
        had = inputs.has_event
        found = inputs.with_events(np.where(short, np.float32(0), events).astype(np.float32))
        lost = int((had & ~found.has_event).sum())
        changed = {f"events with a dwell below {self.seconds:g} s do not count": int(short.sum())}
        if lost:
            changed["sessions had no other event"] = lost
        return Converted(found, changed=changed)
