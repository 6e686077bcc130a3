"""The example app, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from running_apps import App


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)
