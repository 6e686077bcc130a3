"""Spellings of a text that mean the same made one: Unicode form, blanks, case."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from hft.data.field_values import look_up

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


class TextNormalizer:
    """Normalises texts. What is off changes nothing.

    Args:
        unicode: form of Unicode normalisation (Unicode Standard Annex 15); NFKC also makes full-width letters and
            ligatures plain ones. None leaves characters as they are.
        strip: take blanks off both ends.
        collapse_blanks: make each run of blanks and line ends one blank.
        lower: lower case; for a model that tells cases apart this loses what it knows.
    """

    def __init__(
        self,
        unicode: Form | None = "NFC",
        strip: bool = True,
        collapse_blanks: bool = False,
        lower: bool = False,
    ) -> None:
        self.unicode: Form | None = unicode
        self.strip = strip
        self.collapse_blanks = collapse_blanks
        self.lower = lower

    def __call__(self, text: str) -> str:
        """The text, normalised."""
        if self.unicode is not None:
            text = unicodedata.normalize(self.unicode, text)
        if self.collapse_blanks:
            text = " ".join(text.split())
        if self.strip:
            text = text.strip()
        return text.lower() if self.lower else text

    def value(self, value: Any) -> Any:
        """A value of a record with each text in it normalised, at any depth."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {name: self.value(entry) for name, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(entry) for entry in value]
        return value


class FieldsNormalizer:
    """Brings the records of items to the names and values that the rest of a config speaks of.

    It comes before all else that looks at an item's record: id, title and text are taken from what it gives.

    Args:
        rename: new name of a field by its name in the file; a dot leads into nested objects on the left. The new field
            stands at the top; the old one stays where it is.
        drop: fields at the top that nothing shall see.
        empty_values: texts that mean that there is no value; they are normalised as the record's own are.
        unicode, strip, collapse_blanks, lower: of every text in the record, as in TextNormalizer.
    """

    def __init__(
        self,
        rename: dict[str, Annotated[str, Field(min_length=1)]] | None = None,
        drop: list[str] | None = None,
        empty_values: list[str] | None = None,
        unicode: Form | None = "NFC",
        strip: bool = True,
        collapse_blanks: bool = False,
        lower: bool = False,
    ) -> None:
        self.rename = dict(rename or {})
        self.drop = list(drop or ())
        self.texts = TextNormalizer(unicode, strip, collapse_blanks, lower)
        self.empty_values = [self.texts(value) for value in empty_values or ()]

    @property
    def fields(self) -> list[str]:
        """Fields that some record must have."""
        return list(self.rename)

    def options(self) -> dict[str, Any]:
        """What decides, as plain values."""
        return {**vars(self), "texts": vars(self.texts)}

    def __call__(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record, normalised."""
        found = {name: self._cleaned(value) for name, value in record.items() if name not in self.drop}
        for old, new in self.rename.items():
            is_there, value = look_up(record, old)
            if is_there:
                found[new] = self._cleaned(value)
        return found

    def _cleaned(self, value: Any) -> Any:
        value = self.texts.value(value)
        return self._without_empty(value) if self.empty_values else value

    def _without_empty(self, value: Any) -> Any:
        if isinstance(value, str):
            return None if value in self.empty_values else value
        if isinstance(value, Mapping):
            return {name: self._without_empty(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return [entry for entry in map(self._without_empty, value) if entry is not None]
        return value
