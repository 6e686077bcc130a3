"""The README's table of groups names every option that is shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
OPTIONS = sorted(
    (path.parent.relative_to(ROOT / "conf").as_posix(), path.stem)
    for path in (ROOT / "conf").rglob("*.yaml")
    if path.parent != ROOT / "conf" and "hydra" not in path.relative_to(ROOT / "conf").parts
)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_stands_in_the_row_of_its_group(group: str, option: str) -> None:
    rows = [row for row in ROWS if f"`{group}`" in row.split("|")[1]]
    assert any(re.search(rf"\b{option}\b", row.split("|")[2]) for row in rows)
