"""A run tells its folder first and its store after; no store can stop or hold up a training."""

from __future__ import annotations

import csv
import logging
import socket
from pathlib import Path

import pytest
import torch
from small_runs import save_to, small_config, start_run, train_line

from hft.errors import ConfigError, StorageError
from hft.experiments import ExperimentsManager, load_record, pending_runs, read_steps, sync
from hft.experiments.trackers import MlflowTracker


@pytest.fixture
def away() -> str:
    """Address of a server that is not there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_csv_tracking_writes_a_table_and_needs_no_store() -> None:
    train_line(small_config(), Path("run"))
    with open("run/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert [float(row["train_loss"]) for row in rows] == [row["train_loss"] for row in read_steps("run/steps.jsonl")]
    assert not Path("outputs").exists()


def test_a_table_keeps_values_that_only_some_rows_have() -> None:
    with start_run(small_config(), Path("run")) as run:
        run.log({"step": 1, "epoch": 0, "train_loss": 0.5})
        run.log({"step": 1, "epoch": 0, "validation_ndcg@10": 0.75})
        run.finish({})
    with open("run/metrics.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["train_loss"], first["validation_ndcg@10"]) == ("0.5", "")
    assert (second["train_loss"], second["validation_ndcg@10"]) == ("", "0.75")


def test_a_store_has_what_the_folder_has(local_store: str) -> None:
    config = small_config(tracking__kind="mlflow", tracking__uri=local_store)
    record = train_line(config, Path("outputs/line/a"), score=0.75)
    assert record.tracking.pending is False
    assert record.tracking.experiment == "line/initial"
    manager = ExperimentsManager(local_store)
    best = manager.best_run("line/initial", "ndcg@10", "maximize")
    assert (best.mlflow_run_id, best.run_id, best.value) == (record.tracking.mlflow_run_id, record.run_id, 0.75)
    downloaded = manager.download_run(best.mlflow_run_id, "again")
    for name in ("run.yaml", "steps.jsonl", "model/model.safetensors"):
        assert (downloaded / name).read_bytes() == (record.folder / name).read_bytes()
    assert Path("outputs/mlartifacts").is_dir()
    assert sync("outputs") == []


def test_a_server_that_is_away_costs_one_connection_and_one_notice(
    away: str, connections: list[tuple[str, int]]
) -> None:
    notices: list[str] = []
    config = small_config(tracking__kind="mlflow", tracking__uri=away)
    record = train_line(config, Path("outputs/line/a"), notify=notices.append)
    assert [f"http://{host}:{port}" for host, port in connections] == [away]
    assert record.status == "done"
    assert len(notices) == 1
    assert "hft runs --sync" in notices[0]
    assert load_record(record.folder).tracking.pending is True
    assert [pending.run_id for pending in pending_runs("outputs")] == [record.run_id]


def test_a_store_that_breaks_in_the_middle_is_left_alone_from_then_on(
    local_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(self: ExperimentsManager, *args: object) -> None:
        calls.append(args)
        raise RuntimeError("the connection was cut")

    config = small_config(tracking__kind="mlflow", tracking__uri=local_store)
    notices: list[str] = []
    with start_run(config, Path("outputs/line/a"), notify=notices.append) as run, monkeypatch.context() as broken:
        broken.setattr(ExperimentsManager, "log_rows", fail)
        for step in (1, 2, 3):
            run.log({"step": step, "epoch": 0, "train_loss": 1.0})
            run.flush()
        run.finish({"test_ndcg@10": 0.5})
    assert len(calls) == len(notices) == 1
    record = load_record("outputs/line/a")
    assert (record.status, record.tracking.pending) == ("done", True)
    assert "the connection was cut" in str(record.tracking.reason)
    assert [pushed.problem for pushed in sync("outputs")] == [None]
    assert sync("outputs") == []
    manager = ExperimentsManager(local_store)
    assert manager.run_ids("") == [record.tracking.mlflow_run_id]


def test_sync_tells_why_a_run_stays_pending(away: str) -> None:
    train_line(small_config(tracking__kind="mlflow", tracking__uri=away), Path("outputs/line/a"), notify=logging.info)
    (pushed,) = sync("outputs")
    assert "does not answer" in str(pushed.problem)
    assert load_record("outputs/line/a").tracking.pending is True


def test_sync_leaves_a_running_run_and_a_broken_record_alone(away: str) -> None:
    config = small_config(tracking__kind="mlflow", tracking__uri=away)
    start_run(config, Path("outputs/line/running"), notify=logging.info)
    Path("outputs/line/broken").mkdir()
    Path("outputs/line/broken/run.yaml").write_text("x: [")
    assert sync("outputs") == []


def test_an_error_in_the_training_is_recorded_and_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), start_run(small_config(), Path("run")) as run:
        run.log({"step": 1, "epoch": 0, "train_loss": 1 / 0})
    record = load_record("run")
    assert record.status == "failed"
    assert "ZeroDivisionError" in str(record.results.error)


def test_a_run_that_the_user_stops_is_interrupted_and_keeps_its_steps() -> None:
    def stop() -> None:
        with start_run(small_config(), Path("run")) as run:
            run.log({"step": 1, "epoch": 0, "train_loss": 1.0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert load_record("run").status == "interrupted"
    assert load_record("run").results.num_steps == 1


def test_a_training_that_ends_without_results_is_no_success() -> None:
    with start_run(small_config(), Path("run")):
        pass
    assert load_record("run").status == "failed"


def test_a_full_disk_stops_the_run_with_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: object, *args: object) -> None:
        raise OSError(28, "No space left on device")

    run = start_run(small_config(), Path("run"))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"steps\.jsonl: cannot be written: No space left"):
        run.finish({})


def test_an_address_that_is_no_store_is_refused_before_step_1() -> None:
    with pytest.raises(ConfigError, match=r"tracking\.uri"):
        start_run(small_config(tracking__kind="mlflow", tracking__uri="over there"), Path("run"))


def test_the_initial_model_is_offered_only_where_models_are_wanted(local_store: str) -> None:
    asked: list[Path] = []

    def save(folder: Path) -> None:
        asked.append(folder)
        save_to(torch.zeros(1))(folder)

    for name, wanted in (("a", False), ("b", True), ("c", True)):
        config = small_config(tracking__kind="mlflow", tracking__uri=local_store, tracking__log_model=wanted)
        with start_run(config, Path("outputs/line") / name) as run:
            run.initial_model(save)
            run.finish({})
    assert len(asked) == 1


def test_a_tracker_is_quiet_after_it_gave_up(away: str, connections: list[tuple[str, int]]) -> None:
    run = start_run(
        small_config(tracking__kind="mlflow", tracking__uri=away), Path("outputs/line/a"), notify=logging.info
    )
    tracker = MlflowTracker(run.record, ExperimentsManager(away), logging.info)
    tracker.start()
    connections.clear()
    for _ in range(100):
        tracker.flush()
    assert connections == []
