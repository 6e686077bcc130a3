"""Texts of items that were read already, made anew of their records as other models know them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hft.data.parts.joined import JoinedParts, joined_text
from hft.data.quarantine import Quarantine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.item_lines import ItemRecord
    from hft.data.items import ItemsSet

# Fields of a record that are looked at.
_MOST_FIELDS = 200


@runtime_checkable
class ReadsItemRecords(Protocol):
    """A source that can give the records of its items again."""

    def item_records(self, quarantine: Quarantine) -> Iterator[ItemRecord]:
        """See SessionRecords.item_records."""
        ...


def records_of_items(
    source: ReadsItemRecords, items: ItemsSet, rows: NDArray[Any] | None = None
) -> Iterator[tuple[int, ItemRecord]]:
    """(row of the item, its record) in one pass over the records; of two with one id the first. Where parts are joined,
    an item has the records of all its parts.

    Args:
        source: that the items are of.
        items: as they were read.
        rows: int[wanted] rows of the items that are wanted; None: all.

    Raises:
        DataError: the records cannot be had.
    """
    left = set(range(len(items)) if rows is None else rows.tolist())
    with Quarantine(None, max_share=1.0) as quarantine:
        for record in source.item_records(quarantine):
            row = items.row_of(record.item_id) if record.item_id in items else -1
            if row in left:
                if not isinstance(source, JoinedParts):
                    left.remove(row)
                yield row, record


def texts_by_row(
    records: Iterable[tuple[int, ItemRecord]], count: int, make: Callable[[str, Mapping[str, Any]], str]
) -> list[str]:
    """A text for each of so many items, empty where nothing is known of one; several records of an item are joined.

    Args:
        records: as `records_of_items` gives them.
        count: of the items.
        make: makes a text of (name of the source, record).
    """
    made: dict[int, list[str]] = {}
    for row, record in records:
        made.setdefault(row, []).append(make(record.source, record.fields))
    return [
        parts[0] if len(parts) == 1 else joined_text(parts) for parts in (made.get(row, [""]) for row in range(count))
    ]


def textual_fields(records: Sequence[Mapping[str, Any]], *, at_least: float) -> list[str]:
    """Fields that hold words, those of the most distinct values first; a dot leads into nested objects.

    Args:
        records: to look at.
        at_least: share of the records that a field has words in.
    """
    counts: Counter[str] = Counter()
    values: dict[str, set[str]] = {}
    for record in records:
        for name, text in _texts_in(record):
            counts[name] += 1
            values.setdefault(name, set()).add(text)
    often = [name for name, count in counts.most_common(_MOST_FIELDS) if count >= at_least * len(records)]
    return sorted(often, key=lambda name: -len(values[name]))


def _texts_in(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping) and not before:
            yield from _texts_in(value, f"{name}.")
            continue
        words = " ".join(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value
        if isinstance(words, str) and any(letter.isalpha() for letter in words) and "://" not in words:
            yield f"{before}{name}", words
