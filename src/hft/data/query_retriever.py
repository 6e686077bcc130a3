"""Where the query of a session stands in its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hft.data.field_values import as_words, look_up
from hft.data.template import Template
from hft.data.text_normalizer import Form, TextNormalizer
from hft.errors import ConfigError

if TYPE_CHECKING:
    from hft.data.records import Record

_KEY = "data.source.query_retriever"
Name = Annotated[str, Field(min_length=1)]


class QueryRetriever:
    """Takes the query out of a session's record: of one field, of the first of several that has content, or of all
    that a template names.

    With one, each line is read the careful way, which takes up to three times as long.

    Args:
        field: a field, a dot leads into nested objects; or a list of fields, of which the first with content counts.
        template: see hft.data.template; instead of `field`.
        unicode, strip, collapse_blanks, lower: of the query, as in TextNormalizer.

    Raises:
        ConfigError: neither or both of field and template, or a template that cannot be read.
    """

    def __init__(
        self,
        field: Name | Annotated[list[Name], Field(min_length=1)] | None = None,
        template: str | list[str] | None = None,
        unicode: Form | None = "NFC",
        strip: bool = True,
        collapse_blanks: bool = True,
        lower: bool = False,
    ) -> None:
        if (field is None) == (template is None):
            raise ConfigError(f"{_KEY}: give either field or template, found {'neither' if field is None else 'both'}.")
        self.field = [field] if isinstance(field, str) else list(field or ())
        self.template = template if isinstance(template, str | None) else list(template)
        self.texts = TextNormalizer(unicode, strip, collapse_blanks, lower)
        self.key = f"{_KEY}.field" if template is None else f"{_KEY}.template"
        self._parsed = None if template is None else Template(self.template or "", self.key)

    @property
    def fields(self) -> list[str]:
        """Fields that some record must have."""
        return list(self.field) if self._parsed is None else self._parsed.fields

    def options(self) -> dict[str, Any]:
        """What decides the queries, as plain values."""
        return {"field": self.field, "template": self.template, "texts": vars(self.texts)}

    def __call__(self, record: Mapping[str, Any]) -> str:
        """The query; empty where the record has none."""
        if self._parsed is not None:
            return self.texts(self._parsed.render(record))
        for field in self.field:
            text = self.texts(as_words(look_up(record, field)[1]))
            if text.strip():
                return text
        return ""

    def filled_in(self, record: Record, name: str) -> Record:
        """The record with its query as the field of this name; one that cannot be read stays as it is."""
        fields = record.parsed()
        if isinstance(fields, str):
            return record
        return record._replace(fields={**fields, name: self(fields)})
