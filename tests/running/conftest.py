"""Trials of a tiny model on a few session files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig

import hft
from hft.running.shared import shared_parts
from small_trials import small_overrides, write_session_files


@pytest.fixture(scope="session")
def session_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sessions.jsonl and items.jsonl."""
    return write_session_files(tmp_path_factory.mktemp("files"))


@pytest.fixture
def compose(
    session_files: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., DictConfig]:
    """`compose(*overrides)` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: hft.compose([*small_overrides(session_files, tiny_bert), *overrides])


@pytest.fixture(autouse=True)
def nothing_shared_between_tests() -> Iterator[None]:
    """Each test begins as a new process does."""
    shared_parts.clear()
    yield
    shared_parts.clear()
