"""A project that was copied or moved goes on in its new place, and leaves the old one alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from small_runs import small_config, train_line

from hft.experiments import ExperimentsManager, RunRecord
from hft.experiments.champions import champion_of
from hft.experiments.registry import Champions
from hft.experiments.store import sqlite_uri
from hft.experiments.stored_models import StoredModels
from hft.experiments.sweep_winner import winner_of_sweep

MLFLOW = {"tracking__kind": "mlflow", "tracking__uri": "sqlite:///outputs/mlflow.db"}


def tree(folder: Path) -> dict[str, str]:
    """Every file by its content; SQLite opens a store by making and removing files beside it, which leaves no trace."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def addresses(store: Path) -> Iterator[str]:
    with closing(sqlite3.connect(store)) as connection:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("model_versions", "source"),
        ):
            yield from (row[0] for row in connection.execute(f"SELECT {column} FROM {table}"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> tuple[Path, RunRecord, RunRecord]:
    """The folder of a project with a run that the store has and a champion that lies in its folder alone."""
    old = tmp_path / "old"
    (old / "outputs").mkdir(parents=True)
    shutil.copy(empty_store, old / "outputs" / "mlflow.db")
    monkeypatch.chdir(old)
    tracked = train_line(small_config(run_name="a", **MLFLOW), Path("outputs/line/a"))
    champion = train_line(small_config(run_name="b"), Path("outputs/line/b"))
    Champions(sqlite_uri(old / "outputs" / "mlflow.db")).promote(champion, expected=None, is_best=True)
    return old, tracked, champion


@pytest.mark.parametrize("name", ["copy", 'it\'s "q" 50%20 #?&'])
@pytest.mark.parametrize("is_old_there", [True, False])
def test_a_moved_store_finds_its_artifacts_in_the_new_place_alone(
    project: tuple[Path, RunRecord, RunRecord], name: str, is_old_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, tracked, champion = project
    new = old.with_name(name)
    shutil.copytree(old, new)
    if not is_old_there:
        shutil.rmtree(old)
    before = tree(old)
    monkeypatch.chdir(new)
    store = sqlite_uri(new / "outputs" / "mlflow.db")
    found = champion_of("line")
    assert found is not None
    assert found.run_id == champion.run_id
    assert found.folder.absolute().is_relative_to(new)
    models = StoredModels([store])
    model = models.find(tracked)
    assert model is not None
    models.remove(model)
    assert not list((new / "outputs" / "mlartifacts").glob(f"{tracked.tracking.mlflow_run_id}/artifacts/model"))
    train_line(small_config(run_name="c", **MLFLOW), Path("outputs/line/c"))
    ExperimentsManager(store).run_ids("")
    assert all(address.startswith(f"{new.as_uri()}/") for address in addresses(new / "outputs" / "mlflow.db"))
    assert tree(old) == before
    assert old.exists() == is_old_there


def test_a_store_that_was_copied_alone_keeps_the_artifacts_that_lie_elsewhere(
    project: tuple[Path, RunRecord, RunRecord], tmp_path: Path
) -> None:
    old, tracked, _ = project
    (tmp_path / "backup").mkdir()
    shutil.copy(old / "outputs" / "mlflow.db", tmp_path / "backup")
    manager = ExperimentsManager(sqlite_uri(tmp_path / "backup" / "mlflow.db"))
    downloaded = manager.download_run(str(tracked.tracking.mlflow_run_id), tmp_path / "again")
    assert (downloaded / "model").is_dir()


def test_a_link_to_a_project_is_the_same_place(project: tuple[Path, RunRecord, RunRecord], tmp_path: Path) -> None:
    old, *_ = project
    os.symlink(old, tmp_path / "link")
    ExperimentsManager(sqlite_uri(tmp_path / "link" / "outputs" / "mlflow.db")).run_ids("")
    assert all("/link/" not in address for address in addresses(old / "outputs" / "mlflow.db"))


@pytest.mark.parametrize("summary", ['{"folder": "/old/o/sweeps/s", "best": {"number": 1, "folder": "/old/o/line/a"}}'])
def test_the_winner_of_a_moved_sweep_that_was_known_from_an_earlier_run_is_found_beside_it(summary: str) -> None:
    known = train_line(small_config(), Path("o/line/a"))
    sweep = Path("o/sweeps/s")
    sweep.mkdir(parents=True)
    (sweep / "sweep.json").write_text("{}")
    (sweep / "summary.json").write_text(summary)
    found = winner_of_sweep(sweep)
    assert found is not None
    assert (found.run_id, found.folder) == (known.run_id, Path("o/line/a").absolute())
