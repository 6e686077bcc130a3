"""The text of an item, put together from fields of its record."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hft.errors import DataError

_MOST_NAMED = 20


class ItemTextComposer:
    """Joins fields of records into texts, and remembers which fields were ever there.

    Args:
        fields: names of fields in the order of the text; a dot leads into a nested object
            (`metadata.genres`). Lists are joined by commas; what is missing or empty is passed over.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        self._found: Counter[str] = Counter()
        self._there: Counter[str] = Counter()
        self._records = 0

    def compose(self, record: Mapping[str, Any]) -> str:
        """The item's text, one line a field; empty where no field has content."""
        self._records += 1
        if self._records == 1:
            self._there.update(_field_names(record))
        lines = []
        for field in self.fields:
            present, value = look_up(record, field)
            self._found[field] += present
            line = as_text(value).strip()
            if line:
                lines.append(line)
        return "\n".join(lines)

    def require_fields(self, file: str, key: str) -> None:
        """Check, after the last record, that each field was in some record.

        Args:
            file: the file that was read.
            key: the config key that lists the fields.

        Raises:
            DataError: a field was in none; names the nearest of those there.
        """
        for field in self.fields:
            if self._records and not self._found[field]:
                raise DataError(missing_field_message(file, field, key, sorted(self._there)))


def look_up(record: Mapping[str, Any], field: str) -> tuple[bool, Any]:
    """(whether the field is there, its value); the whole name is tried before its dots lead into objects."""
    if field in record:
        return True, record[field]
    value: Any = record
    for part in field.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value


def as_text(value: Any) -> str:
    """A value as words: lists joined by commas, objects by their values, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return as_text(list(value.values()))
    if isinstance(value, list | tuple):
        return ", ".join(text for text in map(as_text, value) if text)
    return str(value)


def missing_field_message(file: str, field: str, key: str, there: Sequence[str]) -> str:
    """What to say when no line of a file has a field: what is there, the key to set, the nearest spelling."""
    near = difflib.get_close_matches(field, there, n=1, cutoff=0.5)
    near = near or [name for name in there if field in name or name in field][:1]
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    shown = ", ".join(there[:_MOST_NAMED]) + (", ..." if len(there) > _MOST_NAMED else "")
    return f"{file}: no line has the field {field!r}{hint}. Fields there: {shown or 'none'}. Set {key}=NAME."


def _field_names(record: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name, value in record.items():
        names.append(f"{prefix}{name}")
        if isinstance(value, Mapping):
            names += _field_names(value, f"{prefix}{name}.")
    return names
