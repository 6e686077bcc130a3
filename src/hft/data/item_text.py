"""The text of an item, put together from fields of its record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol

from pydantic import Field

from hft.data.field_values import as_text, as_words, look_up
from hft.data.template import Template
from hft.errors import ConfigError

__all__ = ["ItemJson", "ItemTemplate", "ItemText", "ItemTextComposer", "as_text", "look_up"]

_KEY = "data.source.item_text"
Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class ItemText(Protocol):
    """Makes the text of an item of its record.

    `key` is the config key that names the fields; with `takes_all`, whatever a record has goes into the text, so that
    the id must be taken out before. One whose texts are worth nothing once they are cut has `may_be_cut = False`.
    """

    key: str
    takes_all: bool

    @property
    def fields(self) -> Sequence[str]:
        """Names of fields that some record must have."""
        ...

    def compose(self, record: Mapping[str, Any]) -> str:
        """The item's text; empty where no field has content."""
        ...


class ItemTextComposer:
    """Joins fields of records into texts.

    Args:
        fields: names of fields in the order of the text; a dot leads into a nested object
            (`metadata.genres`). Lists are joined by commas; what is missing or empty is passed over.
        key: config key that lists the fields.
    """

    takes_all = False

    def __init__(self, fields: Sequence[str], key: str = "data.source.item_fields") -> None:
        self.fields = tuple(fields)
        self.key = key

    def compose(self, record: Mapping[str, Any]) -> str:
        """The item's text, one line a field; empty where no field has content."""
        lines = []
        for field in self.fields:
            line = as_text(look_up(record, field)[1]).strip()
            if line:
                lines.append(line)
        return "\n".join(lines)


class ItemTemplate:
    """Texts of items that are dictionaries: by a template, or a line `Name: value` for each field.

    Args:
        template: see hft.data.template, as one text or as a list of lines; None: a line for each field.
        fields: without a template: fields in the order of the text; None takes all of a record, in its order.
        names: without a template: what a field is called in the text, by the field; an empty text leaves the name
            away. Others are called by the last part of their name: `metadata.release_year` is `Release year`.
        exclude: without a template and fields: fields to leave out (with a nested object all that is in it); the
            item's id is left out in any case.

    Raises:
        ConfigError: the template cannot be read, or stands beside options that it takes no notice of.
    """

    def __init__(
        self,
        template: str | list[str] | None = None,
        fields: Names | None = None,
        names: dict[str, str] | None = None,
        exclude: list[str] | None = None,
    ) -> None:
        given = [name for name, value in (("fields", fields), ("names", names), ("exclude", exclude)) if value]
        if template is not None and given:
            raise ConfigError(
                f"{_KEY}.{given[0]}: has no effect beside {_KEY}.template, which says it all. Leave one of them out."
            )
        self.template = template if isinstance(template, str | None) else list(template)
        self.chosen = None if fields is None else list(fields)
        self.names = dict(names or {})
        self.exclude = list(exclude or ())
        self.key = f"{_KEY}.fields" if template is None else f"{_KEY}.template"
        self.takes_all = template is None and fields is None
        self._parsed = None if template is None else Template(self.template or "", self.key)

    @property
    def fields(self) -> list[str]:
        """Names of fields that some record must have."""
        if self._parsed is not None:
            return self._parsed.fields
        return self.chosen or [name for name in self.names if name not in self.exclude]

    def options(self) -> dict[str, Any]:
        """What decides the texts, as plain values."""
        return {name: getattr(self, name) for name in ("template", "chosen", "names", "exclude")}

    def compose(self, record: Mapping[str, Any]) -> str:
        """The item's text."""
        if self._parsed is not None:
            return self._parsed.render(record)
        lines = []
        for field in self.chosen or _leaves(record):
            if self.chosen is None and any(field == out or field.startswith(f"{out}.") for out in self.exclude):
                continue
            value = as_words(look_up(record, field)[1]).strip()
            name = self.names.get(field, _called(field))
            if value:
                lines.append(f"{name}: {value}" if name else value)
        return "\n".join(lines)


class ItemJson:
    """The chosen fields of an item as a JSON text, for hft.data.parts.JsonFieldSplitter to make parts of.

    Args:
        fields: in this order; a dot leads into nested objects. None takes the whole record but its id.
    """

    key = f"{_KEY}.fields"
    may_be_cut = False

    def __init__(self, fields: Names | None = None) -> None:
        self.chosen = None if fields is None else list(fields)
        self.takes_all = fields is None

    @property
    def fields(self) -> list[str]:
        """Names of fields that some record must have."""
        return list(self.chosen or ())

    def options(self) -> dict[str, Any]:
        """What decides the texts, as plain values."""
        return {"chosen": self.chosen}

    def compose(self, record: Mapping[str, Any]) -> str:
        """A JSON object without empty values; empty where nothing is left."""
        values = record if self.chosen is None else {name: look_up(record, name)[1] for name in self.chosen}
        kept = {name: value for name, value in values.items() if as_words(value).strip()}
        return json.dumps(kept, ensure_ascii=False, default=str) if kept else ""


def _leaves(record: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _called(field: str) -> str:
    words = field.rpartition(".")[2].replace("_", " ").strip()
    return words[:1].upper() + words[1:]
