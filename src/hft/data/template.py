"""Templates that make one text of the fields of a record.

    {title}[[ ({metadata.year})]]
    Genres: {metadata.genres|first 3}
    {released|date %B %Y}

A name in braces stands for the field's value; dots lead into nested objects, and through lists of them. What is in
double square brackets goes where a field in it has no value; a line goes where none of its fields has one. Filters
follow the name, with | before each (see FILTERS); a question mark after the name says that no record need have the
field. Braces that are text are doubled.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from hft.data.field_values import as_words, look_up
from hft.errors import ConfigError
from hft.moments import epoch_seconds

_MARKS = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{([^{}\n]*)\}|[{}]")


@dataclass(frozen=True)
class Place:
    """Where a field's value goes.

    Args:
        field: its name.
        filters: applied to the value, in this order.
        is_optional: no record need have it.
    """

    field: str
    filters: tuple[Callable[[Any], Any], ...]
    is_optional: bool

    def text(self, record: Mapping[str, Any]) -> str:
        """The value as words; empty where there is none."""
        value = look_up(record, self.field)[1]
        for change in self.filters:
            value = change(value)
        return as_words(value).strip()


# A piece is a literal text, a place, or pieces that go together.
Piece = str | Place | tuple[Any, ...]


class Template:
    """A parsed template.

    Args:
        text: the template, or its lines.
        key: config key that holds it, for messages.

    Raises:
        ConfigError: brackets that do not close, an unknown filter (with the nearest spelling), no field at all.
    """

    def __init__(self, text: str | Sequence[str], key: str) -> None:
        whole = text if isinstance(text, str) else "\n".join(text)
        self.key = key
        self._lines = [_parsed(line, key) for line in whole.strip("\n").split("\n")]
        places = [place for line in self._lines for place in _places(line)]
        if not places:
            raise ConfigError(f"{key}: found {whole!r}, which names no field. Expected some, as in '{{title}}'.")
        self.places = tuple(places)

    @property
    def fields(self) -> list[str]:
        """Names of the fields that some record must have, each once."""
        return list(dict.fromkeys(place.field for place in self.places if not place.is_optional))

    def render(self, record: Mapping[str, Any]) -> str:
        """The record's text; empty where no field of the template has a value."""
        lines = [_rendered(line, record) for line in self._lines]
        if not any(has_value for _, has_value in lines):
            return ""
        kept = [
            text.strip()
            for (text, has_value), line in zip(lines, self._lines, strict=True)
            if has_value or not _places(line)
        ]
        return "\n".join(kept).strip()


def _rendered(pieces: Sequence[Piece], record: Mapping[str, Any]) -> tuple[str, bool]:
    """(the text, whether a field in it has a value)."""
    found, has_value = [], False
    for piece in pieces:
        if isinstance(piece, str):
            found.append(piece)
        elif isinstance(piece, Place):
            text = piece.text(record)
            has_value = has_value or bool(text)
            found.append(text)
        elif all(place.text(record) for place in _places(piece)):
            text, inner = _rendered(piece, record)
            has_value = has_value or inner
            found.append(text)
    return "".join(found), has_value


def _places(pieces: Sequence[Piece]) -> list[Place]:
    found: list[Place] = []
    for piece in pieces:
        if isinstance(piece, Place):
            found.append(piece)
        elif isinstance(piece, tuple):
            found += _places(piece)
    return found


def _parsed(line: str, key: str) -> tuple[Piece, ...]:
    stack: list[list[Piece]] = [[]]
    at = 0
    for mark in _MARKS.finditer(line):
        stack[-1].append(line[at : mark.start()])
        at = mark.end()
        token = mark.group()
        if token in ("{{", "}}"):
            stack[-1].append(token[0])
        elif token == "[[":
            stack.append([])
        elif token == "]]":
            if len(stack) == 1:
                raise ConfigError(f"{key}: ']]' closes nothing in {line!r}. Expected '[[' before it on the same line.")
            inner = tuple(stack.pop())
            stack[-1].append(inner)
        elif mark.group(1) is None:
            raise ConfigError(
                f"{key}: a lone {token!r} at character {mark.start() + 1} of {line!r}. Expected '{{NAME}}'; a brace "
                "that is text is doubled."
            )
        else:
            stack[-1].append(_place(mark.group(1), key))
    if len(stack) > 1:
        raise ConfigError(f"{key}: '[[' is not closed in {line!r}. Expected ']]' on the same line.")
    stack[0].append(line[at:])
    return tuple(piece for piece in stack[0] if piece != "")


def _place(inside: str, key: str) -> Place:
    name, *filters = inside.split("|")
    field = name.strip()
    is_optional = field.endswith("?")
    field = field.rstrip("?").strip()
    if not field:
        raise ConfigError(f"{key}: '{{{inside}}}' names no field. Expected one, as in '{{title}}'.")
    return Place(field, tuple(_filter(text, key) for text in filters), is_optional)


def _filter(text: str, key: str) -> Callable[[Any], Any]:
    name, _, argument = text.strip().partition(" ")
    if name not in FILTERS:
        near = difflib.get_close_matches(name, FILTERS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{key}: {name!r} is no filter.{hint} Expected one of: {', '.join(FILTERS)}.")
    if len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "\"'":
        argument = argument[1:-1]
    try:
        return FILTERS[name](argument)
    except ValueError as error:
        raise ConfigError(f"{key}: the filter {text.strip()!r} is malformed: {error}.") from error


def _count(argument: str) -> int:
    if not argument.strip().isdigit() or int(argument) < 1:
        raise ValueError(f"expected a whole number above 0, found {argument!r}")
    return int(argument)


def _first(argument: str) -> Callable[[Any], Any]:
    count = _count(argument)
    return lambda value: list(value)[:count] if isinstance(value, list | tuple) else value


def _join(argument: str) -> Callable[[Any], Any]:
    def joined(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return argument.join(text for text in map(as_words, value) if text)

    return joined


def _words(argument: str) -> Callable[[Any], Any]:
    count = _count(argument)
    return lambda value: " ".join(as_words(value).split()[:count])


def _number(argument: str) -> Callable[[Any], Any]:
    format(1.5, argument)  # a malformed one is told before anything is read

    def formatted(value: Any) -> Any:
        try:
            return value if value is None or isinstance(value, bool) else format(float(value), argument)
        except (TypeError, ValueError):
            return value

    return formatted


def _date(argument: str) -> Callable[[Any], Any]:
    pattern = argument or "%Y-%m-%d"

    def formatted(value: Any) -> Any:
        moment = _moment(value)
        return value if moment is None else moment.strftime(pattern)

    return formatted


def _moment(value: Any) -> date | None:
    """A date of ISO 8601, of seconds or less since the epoch (see hft.moments), or None where it is none."""
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(epoch_seconds(value), UTC)
        return datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _or(argument: str) -> Callable[[Any], Any]:
    return lambda value: value if as_words(value).strip() else argument


# Each makes, of its argument, what changes a value. A value that it does not fit stays as it is.
FILTERS: dict[str, Callable[[str], Callable[[Any], Any]]] = {
    "first": _first,  # {actors|first 3}: the first entries of a list
    "join": _join,  # {genres|join " / "}: a list joined by something else than a comma
    "words": _words,  # {text|words 100}: so many words
    "number": _number,  # {rating|number .1f}: as Python's format
    "date": _date,  # {released|date %Y}: as strftime, of ISO 8601 or time since the epoch
    "lower": lambda _: lambda value: as_words(value).lower(),
    "upper": lambda _: lambda value: as_words(value).upper(),
    "or": _or,  # {director|or unknown}: where there is no value
}
