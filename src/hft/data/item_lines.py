"""Items read one by one from a file: ids checked, texts composed, duplicates merged or set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hft.data.field_values import NoTextError, as_text, look_up
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
# The field of an item's text, where nobody says another.
TEXT = "text"
# Of titles that may stand in no text without a word on it.
_UNSEEN_TITLES_ALLOWED = 0.05


class ItemLines:
    """Collects the items of a file, or of several one after the other.

    Args:
        file: the first file, for messages.
        id_field: field of the item's id.
        title_field: field of the title; an item may have none.
        text_fields: fields that make the text; None: the title and the field `text`, where both are there.
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
        text_fields: Sequence[str] | None,
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
        chosen = list(dict.fromkeys((title_field, TEXT))) if text_fields is None else list(text_fields)
        self._composer: ItemText = ItemTextComposer(chosen) if item_text is None else item_text
        self._is_open = text_fields is None and item_text is None
        self._fields_key = fields_key if item_text is None else item_text.key
        self._quarantine = quarantine
        self._normalizer = normalizer
        renamed = [] if normalizer is None else normalizer.fields
        self._raw_presence = FieldPresence([Needed(name, _RENAME_KEY, False, is_within=True) for name in renamed])
        several = text_fields is not None and len(chosen) > 1
        texts = [Needed(name, fields_key, not several, several) for name in chosen]
        if self._is_open:
            texts = [Needed(TEXT, fields_key, beside=title_field)]
        if item_text is not None:
            texts = [Needed(name, item_text.key, False, is_within=True) for name in item_text.fields]
        self._presence = FieldPresence([Needed(id_field, id_key), *texts])
        self._files = [str(file)]
        self._rows: dict[str, int] = {}
        self._texts: list[str] = []
        self._titles: list[str | None] = []
        self._merged = 0
        self._unseen_titles = 0
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
        try:
            problem = self._keep(record)
        except NoTextError as error:
            problem = str(error)
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
        item_id = _id_of(fields, self._id_field)
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
            self._unseen_titles += title is not None and not _is_within(title, text)
        elif (self._titles[row], self._texts[row]) == (title, text):
            self._merged += 1
        else:
            return "another item has this id"
        return None

    def _without_id(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name != self._id_field}

    @property
    def fields(self) -> list[str]:
        """The fields that made the texts; none where a text is made of all that a record has."""
        if self._is_open and not any(self._titles):
            return [TEXT]
        return list(self._composer.fields)

    def warnings(self) -> tuple[str, ...]:
        """That a baseline sees titles which are in no text, and what to do."""
        titled = sum(title is not None for title in self._titles)
        if self._unseen_titles <= titled * _UNSEEN_TITLES_ALLOWED:
            return ()
        share = self._unseen_titles / len(self._texts)
        both = ",".join(dict.fromkeys((self._title_field, *self._composer.fields)))
        advice = f"'{self._fields_key}=[{both}]' gives it both"
        if not isinstance(self._composer, ItemTextComposer):
            advice = f"{self._fields_key} can name it"
        return (
            f"the model does not see the {self._title_field!r} of {share:.0%} of the items: their text is made of "
            f"{', '.join(self._composer.fields) or 'other fields'}, while title overlap goes by it. {advice}; "
            "hft evaluate compares",
        )

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


class ItemRecord(NamedTuple):
    """A record of an item as it stands in its place.

    Args:
        item_id: as ItemsSet has it.
        source: name of the source within hft.data.AggregatedSource; `` of a single one.
        fields: by name, not normalised.
    """

    item_id: str
    source: str
    fields: Mapping[str, Any]


def item_records(
    records: Iterable[Record], id_field: str, normalizer: FieldsNormalizer | None = None
) -> Iterator[ItemRecord]:
    """Records of items with their ids; what has none is left out.

    Args:
        records: as they are read.
        id_field: of the normalised record.
        normalizer: what records go through before their id is looked up.
    """
    for record in records:
        fields = record.parsed()
        if isinstance(fields, str):
            continue
        item_id = _id_of(fields if normalizer is None else normalizer(fields), id_field)
        if item_id is not None:
            yield ItemRecord(item_id, "", fields)


def _id_of(record: Mapping[str, Any], field: str) -> str | None:
    try:
        return as_id(look_up(record, field)[1]) or None
    except ValueError:
        return None


def _is_within(title: str, text: str) -> bool:
    return title in text or title.casefold() in text.casefold()
