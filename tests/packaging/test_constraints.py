"""The exact versions of constraints.txt lie in the ranges of pyproject.toml and can be had anywhere."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ASKED_FOR = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
    if not text.startswith("hft[")
]
LINES = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
EXACT = {canonicalize_name(Requirement(line).name): Requirement(line) for line in LINES}


@pytest.mark.parametrize("requirement", ASKED_FOR, ids=str)
def test_what_pyproject_asks_for_has_one_exact_version_in_its_range(requirement):
    (exact,) = EXACT[canonicalize_name(requirement.name)].specifier
    assert exact.operator == "=="
    assert exact.version in requirement.specifier


def test_no_version_names_a_build_or_a_place_of_one_machine():
    assert [line for line in LINES if "+" in line or "@" in line or "/" in line] == []


def test_hft_itself_is_not_among_them():
    assert "hft" not in EXACT
