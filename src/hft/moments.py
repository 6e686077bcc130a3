"""Points in time as people write them in a config."""

from __future__ import annotations

import math
from datetime import UTC, datetime

EXPECTED = (
    "an ISO 8601 date or time (2026-11-01, 2026-11-01T09:30:00+01:00; without a zone: UTC), or seconds or "
    "milliseconds since 1970"
)
# A number beyond this many seconds (the year 5138) counts something smaller.
MOST_SECONDS = 1e11
# (beyond this number, the unit, how many make a second), the smallest unit first.
_SMALLER_UNITS = ((1e17, "nanoseconds", 1e9), (1e14, "microseconds", 1e6), (MOST_SECONDS, "milliseconds", 1e3))


def epoch_unit(number: float) -> str:
    """What a number of a time since 1970 counts, after its magnitude: seconds, milliseconds, micro-, nanoseconds."""
    return next((unit for beyond, unit, _ in _SMALLER_UNITS if abs(number) > beyond), "seconds")


def epoch_seconds(number: float) -> float:
    """Seconds since 1970 of a number in the unit that epoch_unit tells."""
    return number / next((count for beyond, _, count in _SMALLER_UNITS if abs(number) > beyond), 1.0)


def seconds_of(moment: str | float) -> float:
    """Seconds since the epoch of a date, a time or a number.

    Args:
        moment: ISO 8601 (a date means its midnight; without a zone it is UTC), or seconds since 1970, as a text too;
            a number too large for them is one of milliseconds or less (see epoch_unit).

    Raises:
        ValueError: it is neither; says what was found and what is expected.
    """
    found: float | None = None
    try:
        found = epoch_seconds(float(moment))
    except ValueError:
        try:
            parsed = datetime.fromisoformat(str(moment).strip())
            found = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            found = None
    if found is None or isinstance(moment, bool) or not math.isfinite(found):
        raise ValueError(f"found {moment!r}, expected {EXPECTED}")
    return found


def moment_text(seconds: float) -> str:
    """Seconds since the epoch as `2026-11-01 09:30:00` (UTC), or as a number where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g}"
