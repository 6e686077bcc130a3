"""A user's folder to work in."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def time_for_every_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check leaves choices out after a second and a half, which a slow machine would make a failure."""
    monkeypatch.setattr("hft.config.choice_checks.SECONDS_FOR_CHOICES", float("inf"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, importable as it is under the `hft` command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def write(folder: Path):
    """Write a file into the current folder: `write("conf/loss/mine.yaml", "...")`."""

    def write_file(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
