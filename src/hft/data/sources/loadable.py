"""Results whose item cannot be loaded leave their sessions: each is counted and listed, and so is what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from hft.data.events import NOT_SHOWN
from hft.data.session_lines import LEFT_ALONE, NOT_LOADED_ITEMS

if TYPE_CHECKING:
    from hft.data.field_names import FieldNames
    from hft.data.quarantine import Quarantine
    from hft.data.records import Place

NOT_LOADED = "results whose item cannot be loaded were left out"
NOT_SHOWN_EVENTS = "events on results that were not shown"


class LoadableResults:
    """Leaves out of sessions what cannot be loaded.

    Args:
        items: ids of the items that were loaded; None: all that are asked for.
        names: names of the fields of sessions.
        quarantine: where what is left out is listed.

    Attributes:
        not_loaded: how often each item that cannot be loaded was shown.
        left_alone: sessions that fell out for it.
        not_shown: events that were left out because their result was not shown.
    """

    def __init__(self, items: Container[object] | None, names: FieldNames, quarantine: Quarantine) -> None:
        self._items = items
        self._names = names
        self._quarantine = quarantine
        self.not_loaded: Counter[str] = Counter()
        self.left_alone = 0
        self.not_shown = 0

    def of(self, fields: dict[str, Any], place: Place, number: int, raw: str | bytes) -> dict[str, Any] | None:
        """The session without what cannot be loaded; None where that leaves fewer than two results.

        Args:
            fields: of a session: results are ids, events objects (or there are weights).
            place, number: where it stands.
            raw: the line.
        """
        shown: list[str] = fields[self._names.results]
        loaded = shown if self._items is None else self._items
        lost = [result for result in shown if result not in loaded]
        if lost:
            self.not_loaded.update(dict.fromkeys(lost, 1))
            self._quarantine.mended(str(place), number, NOT_LOADED, raw, lost)
        kept = [result for result in shown if result in loaded]
        if len(set(kept)) < 2 <= len(set(shown)):
            self.left_alone += 1
            self._quarantine.dropped(str(place), number, LEFT_ALONE, raw)
            return None
        places = [position for position, result in enumerate(shown) if result in loaded]
        for name in (self._names.ranks, self._names.weights):
            values = fields.get(name) if name else None
            if isinstance(values, list) and len(values) == len(shown):
                fields = {**fields, str(name): [values[position] for position in places]}
        if self._names.weights:
            return {**fields, self._names.results: kept}
        events: list[dict[str, Any]] = fields[self._names.events]
        strange = [event for event in events if event[self._names.event_item_id] not in shown]
        if strange:
            self.not_shown += len(strange)
            ids = [str(event[self._names.event_item_id]) for event in strange]
            self._quarantine.mended(str(place), number, NOT_SHOWN, raw, ids)
        there = set(kept)
        done = [event for event in events if event[self._names.event_item_id] in there]
        return {**fields, self._names.results: kept, self._names.events: done}

    def counts(self) -> dict[str, int]:
        """What was left out, for the report."""
        return {
            NOT_LOADED_ITEMS: len(self.not_loaded),
            LEFT_ALONE: self.left_alone,
            NOT_SHOWN_EVENTS: self.not_shown,
        }
