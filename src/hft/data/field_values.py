"""The value of a field of a record, and how it reads as words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from hft.errors import DataError


class NoTextError(DataError):
    """A value stands where a text should, and is none."""


def look_up(record: Mapping[str, Any], field: str) -> tuple[bool, Any]:
    """(whether the field is there, its value).

    The whole name is tried before its dots lead into objects. A list of objects gives the list of their values.
    """
    if field in record:
        return True, record[field]
    return _within(record, field.split(".")) if "." in field else (False, None)


def _within(value: Any, parts: list[str]) -> tuple[bool, Any]:
    for number, part in enumerate(parts):
        if isinstance(value, list | tuple):
            found = [_within(entry, parts[number:]) for entry in value]
            there = [entry for is_there, entry in found if is_there]
            return bool(there), there or None
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value


def as_text(value: Any) -> str:
    """A value as words: lists joined by commas, objects by their values, nothing for null.

    Raises:
        NoTextError: bytes, as they come where they are no UTF-8.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return as_text(list(value.values()))
    if isinstance(value, list | tuple):
        return ", ".join(text for text in map(as_text, value) if text)
    if isinstance(value, bytes):
        raise NoTextError("bytes that are no UTF-8 in a text")
    return str(value)


def as_words(value: Any) -> str:
    """As `as_text`, for people: whole numbers without .0, times without seconds of midnight, yes and no."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime) and not any((value.hour, value.minute, value.second, value.microsecond)):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return as_words(list(value.values()))
    if isinstance(value, list | tuple):
        return ", ".join(text for text in map(as_words, value) if text)
    return as_text(value)
