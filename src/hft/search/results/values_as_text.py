"""Values of parameters as people read them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from hft.search.specs import Params, RawValue

_SHORTEST_CUT = 2


def typed_params(params: Params) -> Params:
    """The values that a job gets: a RawValue as Hydra's grammar reads it, everything else as it stands."""
    return {key: typed_value(value) for key, value in params.items()}


def typed_value(value: Any) -> Any:
    """One of them: RawValue("0") is 0, RawValue("[a,'1']") is ["a", "1"]. What the grammar cannot read stays text."""
    return json.loads(_read_once(str(value))) if isinstance(value, RawValue) else value


@lru_cache(maxsize=4096)
def _read_once(text: str) -> str:
    """As JSON, which nobody can change. Kept: the grammar takes a millisecond, and tables come after every trial."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return json.dumps(OverridesParser.create().parse_override(f"key={text}").value())
    except (HydraException, TypeError):
        return json.dumps(text)


def counted(count: int, name: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {name}{'s' * (count != 1)}"


def value_text(value: Any) -> str:
    """`0.0001`, `null`, `true`, `[1, 2]`; a string as it stands, or quoted where it would be misread."""
    value = typed_value(value)
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


def wrapped(text: str, width: int) -> str:
    """On lines of at most `width` characters, broken after `_`, `.` and `/` too."""
    marked = text
    for mark in "_./ ":
        marked = marked.replace(mark, f"{mark}\0")
    lines: list[str] = []
    for piece in marked.split("\0"):
        if lines and len(lines[-1]) + len(piece.rstrip()) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    return "\n".join(line.rstrip()[:width] for line in lines)


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
