"""What a whole run needs: an empty current folder, small data, a tiny model, and few steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from small_collections import write_beir, write_session_files

# Without a progress bar and without a tracking store.
QUIET = (
    "threads=1",
    "seed=3",
    "tracking=csv",
    "settings.batch_size=8",
    "trainer.enable_progress_bar=false",
    "trainer.precision=32-true",
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder; what a command puts on the import path goes again."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture(scope="session")
def session_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides that read small session files."""
    return write_session_files(tmp_path_factory.mktemp("sessions"))


@pytest.fixture(scope="session")
def beir_folder(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides that read a small labelled collection."""
    return write_beir(tmp_path_factory.mktemp("beir"))


@pytest.fixture(scope="session")
def tiny_model(tiny_bert: Path) -> list[str]:
    """Overrides that start from a tiny model."""
    return ["model=local", f"model.source={tiny_bert}", "model.max_length=32"]


@pytest.fixture(scope="session")
def two_steps() -> list[str]:
    """Overrides for two steps, nothing tracked."""
    return [*QUIET, "++trainer.max_steps=2"]


# With these titles the random model is not bettered in two epochs.
TEXT_ALONE = "data.source.fields.text=text"


@pytest.fixture(scope="session")
def small_run(session_files: list[str], tiny_model: list[str]) -> list[str]:
    """Overrides of a whole run in about a second, in which the model becomes better."""
    return [*session_files, *tiny_model, *QUIET, "settings.num_epochs=2", "params.items_lr=1e-2", TEXT_ALONE]
