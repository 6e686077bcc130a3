"""No text becomes a formula of a spreadsheet, and numbers stay numbers."""

from __future__ import annotations

import pytest

from hft.csv_cells import neutral, original

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "--1", "-", "=", "|x", "%x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_behind_an_apostrophe_and_reads_back(text: str) -> None:
    assert neutral(text) == f"'{text}"
    assert original(neutral(text)) == text


@pytest.mark.parametrize("text", ["-1", "-1.5e-3", "+2", "-inf", "0", "-.5", "", "a=b", "'quoted'", "1-2"])
def test_numbers_and_other_texts_stay(text: str) -> None:
    assert neutral(text) == text
    assert original(text) == text
