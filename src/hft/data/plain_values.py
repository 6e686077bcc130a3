"""Values as JSON has them, and ids as texts: one id has one text, whatever type a file or a database gives it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from pydantic_core import PydanticCustomError

_PLAIN = frozenset({str, int, float, bool, type(None)})
# From here on a float no longer tells a whole number from its neighbours.
_FLOATS_SKIP = 2.0**53
# Digits of a decimal that are written out; a longer one is a float.
_MOST_DIGITS = 100


def plain_value(value: Any) -> Any:
    """A value with a form in JSON, the same for equal values.

    Decimals become numbers (1234.00 is 1234), dates and times ISO 8601, durations seconds, bytes their UTF-8 text
    (others stay as they are), and what JSON knows nothing of its text. Lists and objects are made plain within.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {str(name): plain_value(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return value if kind is list and set(map(type, value)) <= _PLAIN else [plain_value(entry) for entry in value]
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            return bytes(value)
    return str(value)


def _number(value: Decimal) -> int | float | str:
    if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
        return float(value)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else format(value.normalize(), "f")


def as_id(value: Any) -> str:
    """The text of an id, without blanks around it: 1234, 1234.0, Decimal("1234.00") and " 1234" are "1234".

    Raises:
        PydanticCustomError: it is no text, number, date or UUID, or a float too large to tell ids apart; a ValueError.
    """
    value = plain_value(value)
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, float) or not abs(value) < float("inf"):
        found = _NO_IDS.get(type(value), "NaN or infinity")
        raise PydanticCustomError("id", "expected an id, a text or a whole number, found {found}", {"found": found})
    if not value.is_integer():
        return repr(value)
    if abs(value) < _FLOATS_SKIP:
        return str(int(value))
    raise PydanticCustomError(
        "id", "an id above 2^53 that stands as a float: its last digits are lost; write it as a text or a whole number"
    )


_NO_IDS = {
    bool: "true or false",
    type(None): "null",
    list: "a list",
    dict: "an object",
    bytes: "bytes that are no UTF-8",
}
