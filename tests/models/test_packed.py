"""Packed texts: taken, padded and read by index, the same as one by one."""

from __future__ import annotations

import numpy as np

from hft.models.packed import PackedTexts

TEXTS = [np.array(text, dtype=np.int32) for text in ([5, 6, 7], [8], [], [9, 10])]


def test_texts_come_back_as_they_were_packed() -> None:
    packed = PackedTexts.of(TEXTS)
    assert [text.tolist() for text in packed] == [text.tolist() for text in TEXTS]
    assert packed.lengths.tolist() == [3, 1, 0, 2]
    assert packed.flat.dtype == np.int32
    assert packed.offsets.dtype == np.int64
    assert len(packed) == 4


def test_rows_are_taken_in_any_order_and_more_than_once_with_their_keys() -> None:
    packed = PackedTexts.of(TEXTS)
    keys = np.arange(8, dtype=np.uint64).reshape(4, 2)
    taken = PackedTexts(packed.flat, packed.offsets, keys).take(np.array([3, 0, 2, 3]))
    assert [text.tolist() for text in taken] == [[9, 10], [5, 6, 7], [], [9, 10]]
    assert taken.keys is not None
    assert taken.keys.tolist() == keys[[3, 0, 2, 3]].tolist()
    assert packed.take(np.array([1])).keys is None


def test_texts_are_padded_on_the_right() -> None:
    ids, mask = PackedTexts.of(TEXTS).padded(np.array([3, 1]), 4, pad_id=1)
    assert ids.tolist() == [[9, 10, 1, 1], [8, 1, 1, 1]]
    assert mask.tolist() == [[True, True, False, False], [True, False, False, False]]
    assert ids.dtype == np.int64


def test_no_texts_are_packed_too() -> None:
    packed = PackedTexts.of([])
    assert (len(packed), list(packed), packed.lengths.tolist()) == (0, [], [])
    nothing = np.zeros(0, dtype=np.int64)
    assert len(PackedTexts.of(TEXTS).take(nothing)) == 0
    assert packed.padded(nothing, 8, 0)[0].shape == (0, 8)
