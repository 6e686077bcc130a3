from __future__ import annotations

import pytest

from hft.data import ItemsSet


def test_items_are_found_by_id(items: ItemsSet) -> None:
    assert [items.row_of(item_id) for item_id in items.ids] == list(range(6))
    assert items.texts[items.row_of("c")] == "yellow banana"
    assert "c" in items
    assert "z" not in items


def test_a_subset_is_numbered_anew(items: ItemsSet) -> None:
    subset = items.subset([4, 1])
    assert subset.ids == ["e", "b"]
    assert subset.row_of("b") == 1
    assert subset.titles == ["cherry", "pear"]


def test_ids_must_be_distinct() -> None:
    with pytest.raises(ValueError, match="distinct"):
        ItemsSet.from_columns(["a", "a"], ["one", "two"])
