"""Pictures are decoded once each, when they are first asked for, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hft.training import PictureStore, picture_store


class Decoder:
    """Gives a picture of one number, and notes which files were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, file: Path) -> np.ndarray:
        self.asked.append(file.name)
        return np.full((4, 4, 3), int(file.stem), dtype=np.uint8)


def store_of(decode: Decoder) -> PictureStore:
    # The third row is a copy of the first.
    return PictureStore(["10.png", "20.png", "30.png", "40.png"], ["a", "b", "a", "c"], decode, size=4, tokens=5)


def test_a_picture_is_decoded_once_and_only_when_it_is_asked_for() -> None:
    decode = Decoder()
    store = store_of(decode)
    assert decode.asked == []
    assert store.rows(np.array([2, 1, 0])).pixels[:, 0, 0, 0].tolist() == [10, 20, 10]
    assert store.rows(np.array([1, 2])).pixels[:, 0, 0, 0].tolist() == [20, 10]
    assert decode.asked == ["10.png", "20.png"]
    assert store.decoded == 2


def test_copies_have_one_number() -> None:
    assert store_of(Decoder()).numbers.tolist() == [0, 1, 0, 2]


def test_every_picture_is_as_long_as_its_patches() -> None:
    assert store_of(Decoder()).lengths.tolist() == [5, 5, 5, 5]


def test_many_pictures_lie_in_a_file_without_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(picture_store, "LARGEST_IN_MEMORY", 100)
    monkeypatch.setattr(picture_store.tempfile, "tempdir", str(tmp_path))
    store = store_of(Decoder())
    assert isinstance(store._pixels, np.memmap)
    assert list(tmp_path.iterdir()) == []
    assert store.rows(np.array([3, 0])).pixels[:, 1, 2, 0].tolist() == [40, 10]
