"""A record may be somebody else's: it never names a place where hft writes or deletes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

import hft
from hft.cli import main
from hft.experiments import RunRecord, load_record
from hft.experiments.run_record import Tracking
from hft.running import measure_winner, train_trial
from small_trials import Listener

Compose = Callable[..., DictConfig]

TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag of another program.\n"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of another program, whose caches have their own CACHEDIR.TAG, and stores by hft's names."""
    folder = tmp_path / "foreign"
    for kind in (".", "data", "tokens", "activations", "files", "vectors"):
        (folder / kind / ("a" * 32)).mkdir(parents=True)
        (folder / kind / ("a" * 32) / "content").write_text("years of work")
        (folder / kind / "CACHEDIR.TAG").write_text(TAG)
    return folder


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def names(record: RunRecord, foreign: Path) -> None:
    """Lets a record name the foreign folder wherever a config names a place to write to."""
    for config in (record.config, record.config_unresolved):
        tree: dict[str, Any] = config
        tree["outputs"] = str(foreign)
        tree["stores"] = {**tree["stores"], "folder": str(foreign), "disk_budget": 1e-9}
        tree["tracking"] = {**tree["tracking"], "kind": "mlflow", "uri": f"sqlite:///{foreign}/mlflow.db"}
        tree["trainer"] = {**tree["trainer"], "default_root_dir": str(foreign)}
        tree["hydra"] = {"run": {"dir": str(foreign / "run")}, "sweep": {"dir": str(foreign / "sweep")}}
    record.tracking = Tracking(kind="mlflow", uri=f"sqlite:///{foreign}/mlflow.db", experiment="x", pending=True)
    record.save()


def test_no_command_writes_or_deletes_where_a_record_says(compose: Compose, foreign: Path) -> None:
    hft.train(compose("settings.num_epochs=1"), folder="outputs/run")
    names(load_record("outputs/run"), foreign)
    before = content(foreign)
    assert main(["evaluate", "outputs/run"]) == 0
    assert main(["reproduce", "outputs/run"]) in (0, 1)
    assert main(["promote", "outputs/run"]) in (0, 1)
    assert main(["runs", "--sync"]) == 1  # the store is none of the user's
    assert main(["runs", "--prune", "keep=1"]) == 0
    assert main(["stores", "--clear", "--folder", str(foreign)]) == 0
    assert content(foreign) == before


def test_the_winner_of_a_sweep_of_somebody_else_uses_the_users_own_places(
    compose: Compose, tmp_path: Path, foreign: Path
) -> None:
    config = compose("settings.num_epochs=1")
    train_trial(config, Listener().trial(), folder=tmp_path / "0")
    names(load_record(tmp_path / "0"), foreign)
    before = content(foreign)
    measure_winner(tmp_path / "0", config)
    assert content(foreign) == before
    assert load_record(tmp_path / "0").results.metrics["test_ndcg@10"] > 0
