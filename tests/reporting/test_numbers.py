"""How numbers and long texts are printed."""

from __future__ import annotations

import pytest

from hft.reporting.numbers import format_difference, format_interval, format_p, format_value, shorten


@pytest.mark.parametrize(
    ("difference", "expected"), [(0.0521, "+0.052"), (-0.0521, "-0.052"), (-0.0001, "0.000"), (0.0, "0.000")]
)
def test_a_difference_has_a_sign_unless_nothing_is_left_of_it(difference: float, expected: str) -> None:
    assert format_difference(difference) == expected


@pytest.mark.parametrize(("p", "expected"), [(0.03124, "0.0312"), (0.00005, "< 0.0001"), (1.0, "1.0000")])
def test_a_small_p_is_a_bound(p: float, expected: str) -> None:
    assert format_p(p) == expected


def test_intervals_and_missing_values() -> None:
    assert format_interval([0.1, 0.25]) == "0.100 .. 0.250"
    assert format_interval([-0.1, 0.25], signed=True) == "-0.100 .. +0.250"
    assert format_value(None) == "-"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short enough", 12, "short enough"),
        ("two\n lines ", 20, "two lines"),
        ("cut at a word where it can", 12, "cut at a…"),
        ("Donaudampfschifffahrt", 10, "Donaudamp…"),
        ("a Donaudampfschifffahrt", 10, "a Donauda…"),
        ("", 5, ""),
        ("ab", 1, "…"),
    ],
)
def test_long_texts_are_cut_at_a_word(text: str, width: int, expected: str) -> None:
    assert shorten(text, width) == expected
