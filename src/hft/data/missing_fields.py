"""Required fields that the lines of a file lack: told all at once, with the keys to set."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hft.data.field_values import look_up
from hft.errors import DataError

_MOST_NAMED = 20
_MOST_REMEMBERED = 200


class MissingFieldsError(DataError):
    """Fields that a file needs are in none, or few, of its lines."""


@dataclass(frozen=True)
class Needed:
    """A field that lines must have.

    Args:
        field: its name; a dot leads into a nested object.
        key: config key that says the name; None where the format fixes it.
        in_each_line: every line must have it; otherwise one line in the file is enough.
        is_list: the key holds a list of names.
        is_within: the name stands somewhere within the key's value, in a template for example.
        beside: a field that goes before it in the key's value, where lines have that one.
    """

    field: str
    key: str | None
    in_each_line: bool = True
    is_list: bool = False
    is_within: bool = False
    beside: str | None = None


class FieldPresence:
    """Counts how many lines lack which of the needed fields.

    Args:
        needed: the fields.
    """

    def __init__(self, needed: Sequence[Needed]) -> None:
        self.needed = tuple(needed)
        self.lines = 0
        self._lacking: Counter[Needed] = Counter()
        self._there: dict[str, None] = {}

    @property
    def there(self) -> list[str]:
        """Names of fields that lines have."""
        return sorted(self._there)

    def complete(self, lines: int = 1) -> None:
        """Count lines that are known to have every needed field."""
        self.lines += lines

    def count(self, fields: Mapping[str, Any], optional: Sequence[Needed] = ()) -> None:
        """Count a line; `optional` are fields that this line may lack."""
        self.lines += 1
        lacking = [need for need in self.needed if need not in optional and not look_up(fields, need.field)[0]]
        self._lacking.update(lacking)
        if lacking or not self._there:
            self._remember(fields)

    def require(self, file: str, *, in_most: bool) -> None:
        """Check, after the last line, that the needed fields are there.

        Args:
            file: the file that was read.
            in_most: a field that must be in each line must be in half of them at least; else one is enough.

        Raises:
            MissingFieldsError: names all fields that are not, those that lines have, and the keys to set.
        """
        never = [need for need in self.needed if self.lines and self._lacking[need] == self.lines]
        scarce = [
            need for need in self.needed if need.in_each_line and self._lacking[need] * 2 > self.lines and in_most
        ]
        absent = [need for need in self.needed if need in never or need in scarce]
        if absent:
            having = {need: self.lines - self._lacking[need] for need in scarce if need not in never}
            raise MissingFieldsError(missing_fields_message(file, absent, self.there, having, self.lines))

    def _remember(self, fields: Mapping[str, Any]) -> None:
        if len(self._there) < _MOST_REMEMBERED:
            self._there.update(dict.fromkeys(_names_in(fields)))


def missing_fields_message(
    file: str,
    absent: Sequence[Needed],
    there: Sequence[str],
    having: Mapping[Needed, int] | None = None,
    lines: int = 0,
    of: str = "line",
) -> str:
    """What to say of absent fields: the nearest spellings, what is there, the keys to set.

    Args:
        file: the file.
        absent: the fields.
        there: names of fields that are there.
        having: how many lines have a field all the same.
        lines: how many lines could be read.
        of: what has the fields.
    """
    having = having or {}
    told: list[str] = []
    settings: list[str] = []
    corrections: list[str] = []
    for need in absent:
        near = _nearest(need.field, [name for name in there if name != need.field])
        some = f" (in {having[need]} of {lines})" if need in having else ""
        told.append(f"{need.field!r}" + some + (f" (did you mean {near!r}?)" if near else ""))
        if need.key is not None and need.is_within:
            corrections.append(need.key)
        elif need.key is not None:
            settings.append(_setting(need, near, there))
    shown = ", ".join(there[:_MOST_NAMED]) + (", ..." if len(there) > _MOST_NAMED else "")
    advice = (
        f"Set {' '.join(dict.fromkeys(settings))}." if settings else "" if corrections else "Rename it in the file."
    )
    if any("NAME" in setting and "..." not in setting for setting in settings):
        advice = f"{advice[:-1]} (NAME: the name that the field has in the file)."
    if corrections:
        advice = f"Correct the name in {', '.join(dict.fromkeys(corrections))}. {advice}".strip()
    if having:
        advice += " Or give the field in every line."
    found = f"most of the {lines} readable lines lack" if having else f"no {of} has"
    fields = "field" if len(absent) == 1 else "fields"
    return f"{file}: {found} the {fields} {', '.join(told)}. Fields there: {shown or 'none'}. {advice}"


def _setting(need: Needed, near: str | None, there: Sequence[str]) -> str:
    if need.is_list:
        return f"{need.key}=[NAME, ...]"
    if need.beside in there and need.beside != near:
        if near is None:
            return f"'{need.key}=[{need.beside}]', with the names of other texts in it"
        return f"'{need.key}=[{need.beside},{near}]'"
    return f"{need.key}={near or 'NAME'}"


def _nearest(field: str, there: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(field, there, n=1, cutoff=0.5)
    near = near or [name for name in there if field in name or name in field][:1]
    return near[0] if near else None


def _names_in(record: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name, value in record.items():
        names.append(f"{prefix}{name}")
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, Mapping):
            names += _names_in(inner, f"{prefix}{name}.")
    return names
