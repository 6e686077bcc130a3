"""Which fields event objects have: a name that none of them has is told, for every event would be a plain click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hft.data.field_values import look_up
from hft.data.missing_fields import MissingFieldsError, Needed, missing_fields_message

if TYPE_CHECKING:
    from hft.data.field_names import FieldNames

_OPTIONAL = ("event_type", "event_weight", "event_dwell")
_MOST_NAMES, _MOST_NAMED = 200, 10


class EventFields:
    """Collects the names of the fields of event objects.

    Args:
        names: the user's names of the fields.

    Attributes:
        untyped: event objects that have neither a type nor a weight, and so count as a click.
    """

    def __init__(self, names: FieldNames) -> None:
        self._names = names
        self._values_seen: set[str] = set()
        self._there: set[str] = set()
        self._texts: set[str] = set()
        self._wanted = {getattr(names, name): name for name in _OPTIONAL}
        self._found: set[str] = set()
        self._lacks_id: str | None = None
        self.untyped = 0

    def saw(self, event: Mapping[str, Any]) -> None:
        """Remember the fields of an event object; quick where none is new."""
        if event.keys() <= self._values_seen:
            return
        for field, name in self._wanted.items():
            if name not in self._found and look_up(event, field)[0]:
                self._found.add(name)
        if len(self._there) >= _MOST_NAMES:
            return
        for field, value in event.items():
            self._there.add(field)
            # A field of objects may have others within the next time.
            if value is not None and not isinstance(value, Mapping):
                self._values_seen.add(field)
            if isinstance(value, str):
                self._texts.add(field)

    def lacking_id(self, events: Any) -> str | None:
        """What is wrong with events of which an object has no id; None where all have one, or none is an object."""
        id_field = self._names.event_item_id
        for event in events if isinstance(events, list) else ():
            if isinstance(event, Mapping) and not look_up(event, id_field)[0]:
                # The same words for all such lines, so that they are counted together.
                self._lacks_id = self._lacks_id or (
                    f"event objects have no {id_field!r} (they have {_listed(list(event))}): "
                    "set data.source.fields.event_item_id=NAME"
                )
                return self._lacks_id
        return None

    def require(self, file: str) -> None:
        """Check, after the last line, that the fields are there that the user has named.

        Raises:
            MissingFieldsError: no event object has one of them.
        """
        renamed = self._names.renamed()
        never = [
            Needed(field, f"data.source.fields.{name}")
            for field, name in self._wanted.items()
            if self._there and name in renamed and name not in self._found
        ]
        if never:
            raise MissingFieldsError(missing_fields_message(file, never, sorted(self._there), of="event object"))

    def notes(self) -> list[str]:
        """A line for people where events have no type, but other texts, of which one may be it."""
        names = self._names
        others = self._texts - {names.event_item_id, *self._wanted}
        if not self.untyped or not others or "event_type" in self._found:
            return []
        return [
            f"{self.untyped:,} event objects have no {names.event_type!r}, so each counts as a click of weight 1; they "
            f"have {_listed(sorted(self._there))}: set data.source.fields.event_type=NAME if one of these is the type"
        ]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "") or "nothing"
