"""tracking=server, against a real MLflow server: away, then back, then killed in the middle of a run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import small_config, start_run, train_line

from hft.experiments import ExperimentsManager, load_record, store, sync
from hft.experiments.store import why_away
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow


class Server:
    """`mlflow server` on a port of its own; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        stores = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        artifacts = ["--artifacts-destination", str(self.folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command, *stores, *artifacts],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        wait_until(lambda: why_away(self.uri) is None, f"{self.folder / 'server.log'}: the server answers")

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def mlflow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Given all the time that a busy machine may need; what is refused is refused at once."""
    for limit in ("_PROBE_SECONDS", "_QUICK_SECONDS", "_PATIENT_SECONDS"):
        monkeypatch.setattr(store, limit, int(PATIENCE))
    made = Server(tmp_path)
    yield made
    made.kill()


def test_a_server_away_then_back_then_killed_loses_nothing(
    mlflow_server: Server, connections: list[tuple[str, int]]
) -> None:
    server = mlflow_server
    config = small_config(tracking__kind="mlflow", tracking__uri=server.uri)
    notices: list[str] = []
    train_line(config, Path("outputs/line/away"), score=0.5, notify=notices.append)
    assert len(notices) == 1

    server.start()
    assert train_line(config, Path("outputs/line/there"), score=0.75).tracking.pending is False

    with start_run(config, Path("outputs/line/killed"), notify=notices.append) as run:
        run.log({"step": 1, "epoch": 0, "train_loss": 1.0})
        run.flush()
        server.kill()
        asked = []
        for step in (2, 3):
            connections.clear()
            run.log({"step": step, "epoch": 0, "train_loss": 1.0})
            run.flush()
            asked.append(len(connections))
        assert asked == [1, 0]  # it is asked once more, and then left alone
        run.finish({"validation_ndcg@10": 0.9})
    assert len(notices) == 2
    assert load_record("outputs/line/killed").tracking.pending is True

    server.start()
    assert [(pushed.record.folder.name, pushed.problem) for pushed in sync("outputs")] == [
        ("away", None),
        ("killed", None),
    ]
    assert sync("outputs") == []
    manager = ExperimentsManager(server.uri)
    values = sorted(run.value for run in manager.finished_runs("line/initial", "ndcg@10"))
    assert values == [0.5, 0.75, 0.9]
    best = manager.best_run("line/initial", "ndcg@10", "maximize")
    assert best.run_id == load_record("outputs/line/killed").run_id
    there = load_record("outputs/line/there").tracking.mlflow_run_id
    assert (manager.download_model(str(there), "model") / "model.safetensors").is_file()
