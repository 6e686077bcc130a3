"""Parts of an item whose text is a JSON object: one a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from pydantic_core import from_json

from hft.data.field_values import as_words, look_up
from hft.data.parts.base import ItemSplitter


class JsonFieldSplitter(ItemSplitter):
    """Parts of a JSON object: the value of each field, by choice of a list each entry.

    Make such texts of dictionaries with `data.source.item_text._target_=hft.data.ItemJson`. A text that is no JSON
    object stays whole.

    Args:
        fields: a part each, in this order; a dot leads into nested objects. None: every field of the object.
        each_entry: an entry of a list is a part of its own; else the list is one part.
        with_names: a part begins with its field's name: `title: Black Adam`.
        max_parts: the most of an item; None: all.
    """

    def __init__(
        self,
        fields: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None,
        each_entry: bool = False,
        with_names: bool = True,
        max_parts: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        super().__init__(max_parts)
        self.fields = None if fields is None else list(fields)
        self.each_entry = each_entry
        self.with_names = with_names

    def parts_of(self, text: str) -> list[str]:
        """See ItemSplitter."""
        try:
            record = from_json(text)
        except ValueError:
            return [text]
        if not isinstance(record, Mapping):
            return [text]
        parts = []
        for field in self.fields or list(record):
            value = look_up(record, field)[1]
            for entry in value if self.each_entry and isinstance(value, list) else [value]:
                words = as_words(entry).strip()
                if words:
                    parts.append(f"{field}: {words}" if self.with_names else words)
        return parts
