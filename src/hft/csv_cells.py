"""Cells of CSV files for spreadsheets, which take a text that begins like a formula for one."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"[=+\-@\t\r\n|%]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|nan)", re.IGNORECASE)
_MARK = "'"


def is_formula(text: str) -> bool:
    """Whether a spreadsheet could run the text. A number with a sign is none."""
    return _FORMULA.match(text.lstrip(" \ufeff")) is not None and _NUMBER.fullmatch(text) is None


def neutral(text: str) -> str:
    """The text as a cell that is no formula: behind an apostrophe, as spreadsheets have it."""
    return f"{_MARK}{text}" if is_formula(text) else text


def original(cell: str) -> str:
    """The text of a neutral cell."""
    return cell[1:] if cell.startswith(_MARK) and is_formula(cell[1:]) else cell
