"""Items read one by one from a file: ids checked, texts composed, duplicates merged or set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hft.data.field_values import as_text, look_up
from hft.data.item_text import ItemText, ItemTextComposer
from hft.data.items import ItemsSet
from hft.data.missing_fields import FieldPresence, Needed
from hft.data.plain_values import as_id
from hft.data.text_length import ITEM_TEXTS
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine
    from hft.data.records import Place, Record
    from hft.data.text_normalizer import FieldsNormalizer

_RENAME_KEY = "data.source.normalizer.rename"


class ItemLines:
    """Collects the items of a file, or of several one after the other.

    Args:
        file: the first file, for messages.
        id_field: field of the item's id.
        title_field: field of the title; an item may have none.
        text_fields: fields that make the text.
        quarantine: where malformed lines go.
        fields_key: config key that lists the text fields.
        id_key: config key that names the id field; None where it is fixed by the format.
        item_text: makes the text instead of the text fields.
        normalizer: what records go through first.
    """

    def __init__(
        self,
        file: Place,
        id_field: str,
        title_field: str,
        text_fields: Sequence[str],
        quarantine: Quarantine,
        *,
        fields_key: str,
        id_key: str | None = None,
        item_text: ItemText | None = None,
        normalizer: FieldsNormalizer | None = None,
    ) -> None:
        self._file = file
        self._id_field = id_field
        self._title_field = title_field
        self._composer: ItemText = ItemTextComposer(text_fields) if item_text is None else item_text
        self._quarantine = quarantine
        self._normalizer = normalizer
        renamed = [] if normalizer is None else normalizer.fields
        self._raw_presence = FieldPresence([Needed(name, _RENAME_KEY, False, is_within=True) for name in renamed])
        several = len(text_fields) > 1
        texts = [Needed(name, fields_key, not several, several) for name in text_fields]
        if item_text is not None:
            texts = [Needed(name, item_text.key, False, is_within=True) for name in item_text.fields]
        self._presence = FieldPresence([Needed(id_field, id_key), *texts])
        self._files = [str(file)]
        self._rows: dict[str, int] = {}
        self._texts: list[str] = []
        self._titles: list[str | None] = []
        self._merged = 0
        self._lines = 0

    def begin(self, file: Place) -> None:
        """The records that follow are of this file; what the last one lacks is told now.

        Raises:
            DataError: the last file lacks a field, or has too many malformed lines.
        """
        self._end_file()
        if str(file) != self._files[-1]:
            self._files.append(str(file))
        self._file = file
        self._raw_presence = FieldPresence(self._raw_presence.needed)
        self._presence = FieldPresence(self._presence.needed)

    def _end_file(self) -> None:
        file = str(self._file)
        self._raw_presence.require(file, in_most=False)
        self._presence.require(file, in_most=self._quarantine.is_too_full(file))
        self._quarantine.check(file)

    def add(self, record: Record) -> None:
        """Add the item of a record, or set the line aside."""
        self._lines += 1
        self._quarantine.saw(str(self._file))
        problem = self._keep(record)
        if problem is not None:
            self._quarantine.add(str(self._file), record.number, problem, record.raw)

    def _keep(self, record: Record) -> str | None:
        """Keep an item; what is wrong with it where it cannot be kept."""
        fields = record.parsed()
        if isinstance(fields, str):
            return fields
        if self._normalizer is not None:
            self._raw_presence.count(fields)
            fields = self._normalizer(fields)
        self._presence.count(fields)
        text = self._composer.compose(self._without_id(fields) if self._composer.takes_all else fields)
        item_id = self._id_of(fields)
        if item_id is None:
            return f"field {self._id_field!r}: no id that is a text or a whole number"
        if not text:
            return f"no text in {', '.join(self._composer.fields) or 'any field'}"
        longest = self._quarantine.max_text_length
        if longest is not None and len(text) > longest and not getattr(self._composer, "may_be_cut", True):
            return (
                f"a text of more than {longest:,} characters, and worth nothing once it is cut (data.max_text_length)"
            )
        place = str(self._file), record.number
        text = self._quarantine.cut(text, ITEM_TEXTS, *place)
        title = self._quarantine.cut(as_text(look_up(fields, self._title_field)[1]), ITEM_TEXTS, *place) or None
        row = self._rows.setdefault(item_id, len(self._texts))
        if row == len(self._texts):
            self._texts.append(text)
            self._titles.append(title)
        elif (self._titles[row], self._texts[row]) == (title, text):
            self._merged += 1
        else:
            return "another item has this id"
        return None

    def _without_id(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name != self._id_field}

    def _id_of(self, record: Mapping[str, Any]) -> str | None:
        try:
            return as_id(look_up(record, self._id_field)[1]) or None
        except ValueError:
            return None

    def finish(self) -> tuple[ItemsSet, int]:
        """(the items, how many identical lines were merged).

        Raises:
            DataError: the file is empty, a field is in no line, or too many lines are malformed.
        """
        if self._lines == 0 and not any(self._quarantine.read[each] for each in self._files):
            what = "the file is empty" if len(self._files) == 1 else f"it and {len(self._files) - 1} more are empty"
            raise DataError(f"{self._files[0]}: {what}. Expected one item a line.")
        self._end_file()
        if not self._texts:
            raise DataError(f"{self._files[0]}: no item is left: every line was set aside.")
        return ItemsSet.from_columns(list(self._rows), self._texts, self._titles), self._merged
