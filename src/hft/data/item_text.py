"""The text of an item, put together from fields of its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ItemTextComposer:
    """Joins fields of records into texts.

    Args:
        fields: names of fields in the order of the text; a dot leads into a nested object
            (`metadata.genres`). Lists are joined by commas; what is missing or empty is passed over.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)

    def compose(self, record: Mapping[str, Any]) -> str:
        """The item's text, one line a field; empty where no field has content."""
        lines = []
        for field in self.fields:
            line = as_text(look_up(record, field)[1]).strip()
            if line:
                lines.append(line)
        return "\n".join(lines)


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
