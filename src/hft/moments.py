"""Points in time as people write them in a config."""

from __future__ import annotations

import math
from datetime import UTC, datetime

EXPECTED = (
    "an ISO 8601 date or time (2026-11-01, 2026-11-01T09:30:00+01:00; without a zone: UTC), or seconds since 1970"
)


def seconds_of(moment: str | float) -> float:
    """Seconds since the epoch of a date, a time or a number.

    Args:
        moment: ISO 8601 (a date means its midnight; without a zone it is UTC), or seconds since 1970, as a text too.

    Raises:
        ValueError: it is neither; says what was found and what is expected.
    """
    found: float | None = None
    try:
        found = float(moment)
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
