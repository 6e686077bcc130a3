"""Taking the sessions of a span of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hft.errors import ConfigError, DataError
from hft.moments import moment_text, seconds_of

if TYPE_CHECKING:
    from hft.data.inputs import FineTuningInputs

NO_TIMESTAMP = "sessions without a timestamp, of which the time window cannot tell"
OUTSIDE = "sessions outside the time window"

Window = tuple[float | None, float | None]


def time_window_of(given: Sequence[str | float | None]) -> Window:
    """[from, to) in seconds since the epoch from what the config says; None is an open end.

    Raises:
        ConfigError: not two ends, an end that is no time, or an end that is not after the start.
    """
    if isinstance(given, str) or len(given) != 2:
        raise ConfigError(f"data.time_window: found {given!r}, expected [from, to], null for an open end.")
    try:
        start, end = (None if moment is None else seconds_of(moment) for moment in given)
    except ValueError as error:
        raise ConfigError(f"data.time_window: {error}.") from error
    if start is not None and end is not None and end <= start:
        raise ConfigError(
            f"data.time_window: it ends at {moment_text(end)}, which is not after its start, {moment_text(start)}. "
            f"The start is taken in, the end is not: for one day give [2026-11-01, 2026-11-02]."
        )
    return start, end


def select_window(inputs: FineTuningInputs, window: Window) -> tuple[FineTuningInputs, dict[str, int]]:
    """The sessions whose timestamp is in [from, to), and how many were left out, by reason.

    Raises:
        DataError: none is in it; says which times there are.
    """
    seconds = inputs.timestamps
    unknown = np.isnan(seconds)
    start, end = window
    inside = ~unknown
    if start is not None:
        inside &= seconds >= start
    if end is not None:
        inside &= seconds < end
    if not inside.any():
        raise DataError(_nothing_left(inputs, window))
    dropped = {NO_TIMESTAMP: int(unknown.sum()), OUTSIDE: int((~inside & ~unknown).sum())}
    return inputs.select(inside), dropped


def _nothing_left(inputs: FineTuningInputs, window: Window) -> str:
    known = inputs.timestamps[~np.isnan(inputs.timestamps)]
    told = " to ".join("any time" if end is None else moment_text(end) for end in window)
    if not len(known):
        return (
            f"data.time_window: {told} was asked for, but none of the {len(inputs)} sessions has a timestamp. Leave "
            f"data.time_window out, or name the field that holds it (for session files: data.source.fields.timestamp)."
        )
    return (
        f"data.time_window: no session is in {told} (UTC). The {len(known)} sessions with a timestamp are from "
        f"{moment_text(known.min())} to {moment_text(known.max())}. Choose a window among these."
    )
