"""Places in records move with the folder that holds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hft.places import absolute_place, relative_place


@pytest.mark.parametrize(
    ("place", "told", "moved"),
    [
        ("/p/outputs/s/3", "3", "/q/outputs/s/3"),
        ("/p/outputs/line/a", "../line/a", "/q/outputs/line/a"),
        ("3", "3", "/q/outputs/s/3"),
    ],
)
def test_a_place_is_told_from_the_folder_of_the_record(place: str, told: str, moved: str) -> None:
    assert relative_place(place, "/p/outputs/s") == told
    assert absolute_place(told, "/q/outputs/s") == Path(moved)
