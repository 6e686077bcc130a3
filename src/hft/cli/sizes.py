"""Sizes for people."""

from __future__ import annotations

_UNITS = ("B", "KB", "MB", "GB", "TB")


def size_text(size: float) -> str:
    """`12.3 MB`."""
    number = 0
    while size >= 1000 and number < len(_UNITS) - 1:
        size, number = size / 1000, number + 1
    return f"{size:.1f} {_UNITS[number]}" if number else f"{size:.0f} B"
