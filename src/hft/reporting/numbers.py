"""Numbers as the tables and pictures print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Differences with a p below this are shown as real.
SIGNIFICANT_BELOW = 0.05


def format_value(value: float | None) -> str:
    """`0.475`; `-` where there is none."""
    return "-" if value is None else f"{value:.3f}"


def format_difference(difference: float) -> str:
    """`+0.052`; `0.000`, without a sign, where nothing is left of it."""
    signed = f"{difference:+.3f}"
    return signed if float(signed) else "0.000"


def format_interval(interval: Sequence[float], *, signed: bool = False) -> str:
    """`0.431 .. 0.519`, or with signs `+0.031 .. +0.072`."""
    low, high = interval
    return f"{format_difference(low)} .. {format_difference(high)}" if signed else f"{low:.3f} .. {high:.3f}"


def format_p(p: float) -> str:
    """`0.0312`, or `< 0.0001`."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def is_significant(comparison: Mapping[str, Any]) -> bool:
    """Whether a comparison's difference counts as real."""
    return bool(comparison["p"] is not None and comparison["p"] < SIGNIFICANT_BELOW)


def is_better(difference: float, direction: str) -> bool:
    """Whether a difference goes the wanted way."""
    return difference > 0 if direction == "maximize" else difference < 0


def shorten(text: str, width: int) -> str:
    """The text on one line, cut at a word where it can be, with an ellipsis, to at most `width` characters."""
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    cut = line[: width - 1]
    at_word = cut.rsplit(" ", 1)[0]
    # A very long first word is cut within; dropping it would leave nothing.
    return (at_word if len(at_word) >= width // 2 else cut) + "…"
