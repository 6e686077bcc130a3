"""The example app, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.version import VersionBase, __compat_version__

from running_apps import App


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


@pytest.fixture(autouse=True)
def version_base_of_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hft train` within an earlier test of this process has set that of hft."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", __compat_version__)
