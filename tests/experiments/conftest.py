"""Every test of the room runs in an empty folder of its own, where `outputs` is its own too."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from hft.experiments import ExperimentsManager


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every (host, port) that this process tries to reach by TCP, in order."""
    tried: list[tuple[str, int]] = []

    class Watched(socket.socket):
        def connect(self, address: Any, /) -> None:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                tried.append(tuple(address[:2]))
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Watched)
    return tried


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store without runs; made once, since that takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    ExperimentsManager(f"sqlite:///{folder}/mlflow.db").run_ids("")
    return folder / "mlflow.db"


@pytest.fixture
def local_store(empty_store: Path, tmp_path: Path) -> str:
    """The store that tracking=local uses, without runs: its address."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(empty_store, tmp_path / "outputs" / "mlflow.db")
    return "sqlite:///outputs/mlflow.db"
