"""Values of parameters as people read them."""

from __future__ import annotations

import json
from typing import Any

_SHORTEST_CUT = 2


def value_text(value: Any) -> str:
    """`0.0001`, `null`, `true`, `[1, 2]`; a string as it stands, or quoted where it would be misread."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if _needs_quotes(value) else value
    if isinstance(value, float):
        short = number_text(value)
        # 1.0 and 1 may be two choices.
        return repr(value) if float(short) == value else short
    return json.dumps(value, ensure_ascii=False, default=str)


def number_text(value: float) -> str:
    """Four significant digits: what a sampled number needs to be told from its neighbours."""
    return f"{value:.4g}"


def metric_text(value: float) -> str:
    """Four significant digits, zeros at the end too, so that values stand below each other."""
    return f"{value:#.4g}".removesuffix(".") if 1e-3 <= abs(value) < 1e4 else number_text(value)


def one_line(text: str, width: int) -> str:
    """The text without line breaks and what else a terminal would obey, cut to `width` characters."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= width else line[: max(width, _SHORTEST_CUT) - 1] + "…"


def duration_text(seconds: float) -> str:
    """`8.4 s`, `41 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def params_text(params: dict[str, Any], names: dict[str, str]) -> str:
    """`margin=0.02 loss=infonce`, by the names given for the keys."""
    return " ".join(f"{names.get(key, key)}={value_text(value)}" for key, value in params.items())


def _needs_quotes(text: str) -> bool:
    if not text.strip() or text != text.strip() or not text.isprintable():
        return True
    try:
        json.loads(text)
    except ValueError:
        return text.startswith('"')
    return True
