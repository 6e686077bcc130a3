"""Several ids in one cell, with another separator between them than the one that was expected."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

_SEPARATORS = (",", ";", "|", "\t", " ")


def joined_by(entries: Sequence[str], known: Container[str]) -> str | None:
    """The separator of ids that were read as one entry, or None.

    Args:
        entries: entries of a list.
        known: ids that there are.

    Returns:
        the separator at which a sole unknown entry falls into at least two known ids.
    """
    if len(entries) != 1 or entries[0] in known:
        return None
    for separator in _SEPARATORS:
        parts = [part.strip() for part in entries[0].split(separator)]
        if sum(part in known for part in parts) >= 2:
            return separator
    return None


def read_as_one(lists: Mapping[str, tuple[Sequence[str], Container[str]]], expected: str) -> str | None:
    """What is wrong with the first of these lists whose sole entry is several ids, or None.

    Args:
        lists: by the name of their field: (entries, ids that there are).
        expected: the separator that was expected.
    """
    for field, (entries, known) in lists.items():
        separator = joined_by(entries, known)
        if separator is not None:
            return (
                f"field {field!r}: several ids with {separator!r} between them, read as one: separate ids by "
                f"{expected}, or set \"data.source.list_separator='{separator}'\""
            )
    return None
