"""Labelled texts as sessions: each text is a query, the categories are the items, its own ones were picked."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import DirectoryPath, Field

from hft.data.category_paths import LEVEL_SEPARATOR, depth, path_of
from hft.data.field_values import NoTextError, as_text, look_up
from hft.data.identity import SourceIdentity
from hft.data.inputs import FineTuningInputs
from hft.data.items import ItemsSet
from hft.data.missing_fields import FieldPresence, Needed
from hft.data.record_formats import read_records
from hft.data.records import CellFormat
from hft.data.source import LABELS, SourceData
from hft.data.sources.record_files import FilesOfRecords
from hft.data.sources.stores import RemoteFolder, below
from hft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.quarantine import Quarantine
    from hft.data.records import Record
    from hft.data.sources.record_files import RecordFile

_TEMPLATE_NAMES = ("path", "name", "parents")


class CategoryFiles:
    """Texts with their categories, from JSONL, CSV or Parquet files of a folder.

    A row is a session: its text is the query, the result shown are categories, and its own are picked. The same text in
    train and in test stays in test alone (hft.data.held_out); the report counts both.

    Args:
        folder: where the files are: a folder, or its address in a store (`s3://bucket/key`).
        train: file of the training rows.
        test: file of the test rows; None: the splitter must make a test split (data/splitter=by_query).
        validation: file of the validation rows; None: the splitter carves them from train.
        text_field: field of the text.
        category_field: field of the category; a list where a text has several.
        path_separator: between the levels of a hierarchy, as ">" in "Electronics > Phones > Cases"; None: there are no
            levels.
        template: a category's text, as it is embedded: `{path}` is all levels, `{name}` the last, `{parents}` those
            before it.
        underscores_are_blanks: whether `card_arrival` is embedded as "card arrival".
        shown: categories shown in a session, its own and others by a seeded draw; None: all of them, so that
            settings.negatives=shown learns against each. Memory grows with rows times shown.
        list_separator: between several categories in a cell of a table.
        csv_delimiter: between the cells of a CSV line.
        seed: of the draw.
    """

    def __init__(
        self,
        folder: DirectoryPath | RemoteFolder,
        train: Annotated[str, Field(min_length=1)] = "train.jsonl",
        test: Annotated[str, Field(min_length=1)] | None = "test.jsonl",
        validation: Annotated[str, Field(min_length=1)] | None = None,
        text_field: Annotated[str, Field(min_length=1)] = "text",
        category_field: Annotated[str, Field(min_length=1)] = "category",
        path_separator: Annotated[str, Field(min_length=1)] | None = None,
        template: Annotated[str, Field(min_length=1)] = "{path}",
        underscores_are_blanks: bool = True,
        shown: Annotated[int, Field(ge=2)] | None = None,
        list_separator: Annotated[str, Field(min_length=1)] = "|",
        csv_delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        named = {"train": train, "validation": validation, "test": test}
        self.text_field = text_field
        self.category_field = category_field
        self.path_separator = path_separator
        self.template = template
        self.underscores_are_blanks = underscores_are_blanks
        self.shown = shown
        self.cells = CellFormat(list_separator, csv_delimiter)
        self.seed = seed
        self.files = {
            split: FilesOfRecords(below(folder, name), f"data.source.{split}", self.cells)
            for split, name in named.items()
            if name is not None
        }
        _check_template(template)

    def identity(self) -> SourceIdentity | None:
        """Its files, and how they are read; None where a store does not tell when a file changes.

        Raises:
            DataError: a file is missing.
        """
        found = [group.identity(split) for split, group in self.files.items()]
        if any(each is None for each in found):
            return None
        options = {name: value for name, value in vars(self).items() if name not in ("files", "cells")}
        names = {split: [file.name for file in group.files] for split, group in self.files.items()}
        cells = [self.cells.separator, self.cells.delimiter]
        files = {role: file for each in found if each is not None for role, file in each.items()}
        return SourceIdentity(files, {**options, "names": names, "cells": cells})

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read all files.

        Raises:
            DataError: a file is missing, empty or damaged, a needed field is in no line, too many lines are malformed,
                or there is one category only.
        """
        rows = _Rows()
        for split, group in self.files.items():
            for file in group.files:
                self._read_file(split, file.path or file, rows, quarantine)
        if len(rows.categories) < 2:
            raise DataError(
                f"data.source.category_field={self.category_field}: {len(rows.categories)} category in all files, "
                "expected two at least."
            )
        items = self._items(list(rows.categories))
        return SourceData(
            items, self._inputs(rows, items), dropped=rows.dropped, notes=_notes(rows, items), learns_from=LABELS
        )

    def _read_file(self, split: str, path: Path | RecordFile, rows: _Rows, quarantine: Quarantine) -> None:
        key = f"data.source.{split}"
        needed = (
            Needed(self.text_field, "data.source.text_field"),
            Needed(self.category_field, "data.source.category_field"),
        )
        presence, seen = FieldPresence(needed), 0
        for record in read_records(path, key, (), self.cells, quarantine):
            seen += 1
            quarantine.saw(str(path))
            try:
                problem = self._keep(record, split, rows, presence)
            except NoTextError as error:
                problem = str(error)
            if problem is not None:
                quarantine.add(str(path), record.number, problem, record.raw)
        if not seen and not quarantine.read[str(path)]:
            raise DataError(f"{path}: the file is empty. Expected one text with its category a line.")
        presence.require(str(path), in_most=quarantine.is_too_full(str(path)))
        quarantine.check(str(path))

    def _keep(self, record: Record, split: str, rows: _Rows, presence: FieldPresence) -> str | None:
        """Keep a row; what is wrong with it where it cannot be kept."""
        fields = record.parsed()
        if isinstance(fields, str):
            return fields
        presence.count(fields)
        text = as_text(look_up(fields, self.text_field)[1]).strip()
        if not text:
            return f"field {self.text_field!r}: no text"
        categories = self._categories(look_up(fields, self.category_field)[1])
        if not categories:
            return f"field {self.category_field!r}: no category"
        rows.add(split, text, categories)
        return None

    def _categories(self, value: Any) -> tuple[str, ...]:
        """The categories of a row, each written the same way whatever blanks stand around its levels."""
        if isinstance(value, str) and self.cells.separator in value and self.cells.separator != self.path_separator:
            value = value.split(self.cells.separator)
        entries = value if isinstance(value, list) else [value]
        paths = (path_of(as_text(entry), self.path_separator) for entry in entries)
        return tuple(dict.fromkeys(LEVEL_SEPARATOR.join(path) for path in paths if path))

    def _items(self, categories: list[str]) -> ItemsSet:
        titles = [self._plain(category) for category in categories]
        return ItemsSet.from_columns(categories, [self._text(title) for title in titles], titles)

    def _plain(self, category: str) -> str:
        return " ".join(category.replace("_", " ").split()) if self.underscores_are_blanks else category

    def _text(self, title: str) -> str:
        levels = title.split(LEVEL_SEPARATOR)
        parents = LEVEL_SEPARATOR.join(levels[:-1])
        return self.template.format(path=title, name=levels[-1], parents=parents).strip() or title

    def _inputs(self, rows: _Rows, items: ItemsSet) -> FineTuningInputs:
        own = [[rows.categories[category] for category in categories] for categories in rows.of_rows]
        if self.shown is None or self.shown >= len(items):
            results = np.tile(np.arange(len(items), dtype=np.int32), len(own))
            lengths = np.full(len(own), len(items))
        else:
            lists = self._drawn(own, len(items))
            results = np.concatenate(lists).astype(np.int32)
            lengths = np.array([len(shown) for shown in lists])
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        picked = np.repeat(np.arange(len(own)), [len(rows_of) for rows_of in own]) * len(items) + np.concatenate(own)
        codes = np.repeat(np.arange(len(own)), lengths) * len(items) + results
        return FineTuningInputs.from_columns(
            items,
            [f"{split}:{number}" for number, split in enumerate(rows.splits)],
            rows.texts,
            offsets=offsets,
            results=results,
            events=np.isin(codes, picked).astype(np.float32),
            split=rows.splits,
        )

    def _drawn(self, own: list[list[int]], count: int) -> list[NDArray[np.int64]]:
        """The categories shown in each session: its own, and others drawn, in a drawn order."""
        rng = np.random.default_rng([self.seed, 0x63617465])
        lists = []
        for of_row in own:
            wanted = max(self.shown or count, len(of_row) + 1)
            # As many as the row has itself may be drawn in vain.
            drawn = np.setdiff1d(rng.choice(count, size=min(wanted, count), replace=False), of_row)
            lists.append(rng.permutation(np.concatenate((of_row, drawn[: wanted - len(of_row)]))).astype(np.int64))
        return lists


@dataclass
class _Rows:
    """The rows of all files, and the categories in the order in which they came."""

    splits: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    of_rows: list[tuple[str, ...]] = field(default_factory=list)
    categories: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    _known: set[tuple[str, str, tuple[str, ...]]] = field(default_factory=set)

    def add(self, split: str, text: str, categories: tuple[str, ...]) -> None:
        if (split, text, categories) in self._known:
            self.repeated += 1
            return
        self._known.add((split, text, categories))
        self.splits.append(split)
        self.texts.append(text)
        self.of_rows.append(categories)
        for category in categories:
            self.categories.setdefault(category, len(self.categories))

    @property
    def dropped(self) -> dict[str, int]:
        return {"rows that repeat a text and its category": self.repeated}


def _notes(rows: _Rows, items: ItemsSet) -> tuple[str, ...]:
    titles = [title or "" for title in items.titles]
    levels = depth(titles)
    told = [f"{len(items):,} categories" + (f" in {levels} levels" if levels > 1 else "")]
    plain: dict[str, set[str]] = {"train": set()}
    used: set[str] = set()
    for text, split, categories in zip(rows.texts, rows.splits, rows.of_rows, strict=True):
        plain.setdefault(split, set()).add(" ".join(re.findall(r"\w+", text.casefold())))
        if split == "train":
            used.update(categories)
    both = sum(len(plain["train"] & texts) for split, texts in plain.items() if split != "train")
    if both:
        told.append(f"{both:,} texts of train are held out too, but for case and punctuation: they leave train")
    if unseen := len(items) - len(used):
        told.append(f"{unseen:,} categories have no training row")
    return tuple(told)


def _check_template(template: str) -> None:
    """Raises ConfigError where a template names what there is not."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ConfigError(f"data.source.template={template!r}: {error}. Expected such as '{{path}}'.") from error
    unknown = [name for name in names if name not in _TEMPLATE_NAMES]
    if unknown or not names:
        found = f"names {', '.join(unknown) or 'nothing'}"
        raise ConfigError(f"data.source.template={template!r}: {found}; known: {', '.join(_TEMPLATE_NAMES)}.")
