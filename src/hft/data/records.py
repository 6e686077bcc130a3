"""Records one by one, wherever they stand, with their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from hft.data.json_values import RepeatedNameError, parse_json
from hft.data.text_lines import decoded


class Record(NamedTuple):
    """One record of a file.

    Args:
        number: its line (in Parquet its row), from 1.
        line: the line as it stands, or a row as JSON; None where there is none.
        fields: its values by name; None where the line is JSON yet to be parsed.
    """

    number: int
    line: bytes | str | None
    fields: dict[str, Any] | None

    @property
    def raw(self) -> bytes | str:
        """The line, or its values as JSON."""
        return json.dumps(self.fields, default=str) if self.line is None else self.line

    def parsed(self, *, allow_inf_nan: bool = False) -> Mapping[str, Any] | str:
        """Its values by name, or what is wrong with it.

        Args:
            allow_inf_nan: whether NaN and Infinity are numbers, which JSON does not know.
        """
        fields: Any = self.fields
        if fields is None:
            try:
                fields = parse_json(self.line or b"", allow_inf_nan=allow_inf_nan)
            except RepeatedNameError as error:
                return str(error)
            except ValueError:
                is_text = isinstance(self.line, str) or decoded(self.line or b"") is not None
                return "malformed JSON" if is_text else "not UTF-8"
        return fields if isinstance(fields, Mapping) else "not an object"


class Place(Protocol):
    """Where records stand: a file, the rows of a query. As a text it is what messages call it."""

    @property
    def name(self) -> str:
        """What ids are made of where records have none."""
        ...


@dataclass(frozen=True)
class NamedPlace:
    """A place that is no file of its own.

    Args:
        name: what ids are made of.
        told: what messages call it.
    """

    name: str
    told: str

    def __str__(self) -> str:
        return self.told


class Records(NamedTuple):
    """The records of one place.

    Args:
        place: where they stand.
        read: starts to read them; raises DataError where that cannot be done.
    """

    place: Place
    read: Callable[[], Iterator[Record]]


@dataclass(frozen=True)
class CellFormat:
    """How lists stand in the cells of a table.

    Args:
        separator: between the entries of a list; a cell that begins with [ is JSON instead.
        delimiter: between the cells of a CSV line (a .tsv file has tabs).
    """

    separator: str = "|"
    delimiter: str = ","


def parse_lists(fields: dict[str, Any], list_fields: Collection[str], separator: str) -> str | None:
    """Turn text cells into lists, in place; what is wrong, or None.

    Args:
        fields: of a record, by name.
        list_fields: those that are lists.
        separator: between the entries of a list in a text; one that begins with [ is JSON instead.
    """
    for name in list_fields:
        cell = fields.get(name)
        if not isinstance(cell, str):
            continue
        if cell.lstrip().startswith("["):
            try:
                fields[name] = parse_json(cell)
            except RepeatedNameError as error:
                return f"field {name!r}: {error}"
            except ValueError:
                return f"field {name!r}: malformed JSON in the cell"
        else:
            fields[name] = [entry.strip() for entry in cell.split(separator) if entry.strip()]
    return None
