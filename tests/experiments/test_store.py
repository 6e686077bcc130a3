"""The store's door: quick when a server is away, and one process at a time when a store is made."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import small_config, train_line
from sqlalchemy import make_url

from hft.errors import ConfigError, RunNotFoundError
from hft.experiments import ExperimentsManager, TrackingError, store
from hft.experiments.history import Significance, history
from hft.experiments.registry import Champions
from hft.experiments.run_model import require_model
from hft.experiments.run_record import Tracking
from hft.experiments.store import absolute_uri, check_uri, sqlite_file, sqlite_uri, why_away
from waiting import PATIENCE


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def guarded_port() -> Iterator[int]:
    """A server that answers everything with 401."""

    class Guard(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            self.send_error(401)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Guard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_server_is_given_less_than_a_second() -> None:
    assert 0 < store._PROBE_SECONDS < 1


def test_a_server_that_is_away_is_known_by_one_refused_connection(
    closed_port: int, connections: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PROBE_SECONDS", PATIENCE)  # so the refusal ends it, and not the time
    assert "does not answer" in str(why_away(f"http://127.0.0.1:{closed_port}"))
    assert connections == [("127.0.0.1", closed_port)]


def test_a_server_that_never_answers_is_given_up(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PROBE_SECONDS", 0.1)
    assert "does not answer" in str(why_away(f"http://127.0.0.1:{silent_port}"))


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = threading.Event()
    monkeypatch.setattr(store, "_PROBE_SECONDS", 0.1)

    def look_up(*given: object, **options: object) -> None:
        found.wait()
        raise OSError("there is no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert "does not answer (nothing in 0.1 s)" in str(why_away("http://tracking.invalid"))
    found.set()


def test_a_guarded_server_is_there(guarded_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PROBE_SECONDS", PATIENCE)
    assert why_away(f"http://127.0.0.1:{guarded_port}") is None


def test_a_file_is_not_probed() -> None:
    assert why_away("sqlite:///nowhere/mlflow.db") is None


@pytest.mark.parametrize("uri", ["outputs", "127.0.0.1:5000", "htp://host", "None", ""])
def test_what_is_no_store_is_refused_with_the_key(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"tracking\.uri: .*sqlite:///outputs/mlflow\.db"):
        check_uri(uri)


def test_a_store_that_refuses_is_one_message(closed_port: int) -> None:
    manager = ExperimentsManager(f"http://127.0.0.1:{closed_port}")
    with pytest.raises(TrackingError, match=rf"{closed_port}: the tracking store refuses: [^\n]*$"):
        manager.run_ids("abc")


def test_a_file_that_is_no_database_is_one_message() -> None:
    os.makedirs("outputs")
    with open("outputs/mlflow.db", "w") as file:
        file.write("this is text\n" * 200)
    with pytest.raises(TrackingError, match="not a database"):
        ExperimentsManager("sqlite:///outputs/mlflow.db").run_ids("abc")


@pytest.mark.slow
def test_two_processes_may_make_the_store_at_once() -> None:
    script = (
        "import sys; from hft.experiments import ExperimentsManager\n"
        "print(ExperimentsManager('sqlite:///outputs/mlflow.db').start_run('line/initial', sys.argv[1]))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, run_id], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for run_id in ("one", "two")
    ]
    told = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    stored = ExperimentsManager("sqlite:///outputs/mlflow.db").run_ids("")
    assert sorted(stored) == sorted(output.decode().strip() for output, _ in told)


def test_importing_the_room_imports_neither_torch_nor_mlflow() -> None:
    script = "import sys, hft.experiments; print([m for m in ('torch', 'mlflow', 'numpy', 'rich') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_telemetry_is_off_and_no_mlruns_folder_appears() -> None:
    script = (
        "import os; from hft.experiments import ExperimentsManager\n"
        "ExperimentsManager('sqlite:///outputs/mlflow.db').start_run('line/initial', 'one')\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "print(is_telemetry_disabled(), os.listdir('.'))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True ['outputs']"


NAMES = ["what?", "50%20 #?&", "50%20", "%41", 'it\'s "q"', "a${seed}", "ü 日", "x" * 200, "new\nline", "a=b"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_the_address_of_a_file_leads_to_the_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "mlflow.db"
    address = sqlite_uri(file)
    assert make_url(address).database == str(file)
    assert sqlite_file(address) == file
    assert sqlite_file(f"sqlite:///{file}") == file  # as a config composes it
    assert absolute_uri(f"sqlite:///{file}") == absolute_uri(address) == address


def test_a_query_of_an_address_stays_one() -> None:
    assert sqlite_file("sqlite:////tmp/a.db?timeout=9") == Path("/tmp/a.db")
    assert absolute_uri("sqlite:////tmp/a.db?timeout=9") == "sqlite:////tmp/a.db?timeout=9"


def test_a_store_lies_in_its_folder_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "base"
    folder = base / "50%20 #?& it's 'q' ${seed}"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    manager = ExperimentsManager("sqlite:///outputs/mlflow.db")
    run = manager.start_run("line/initial", "1" * 32, config={"a": 1})
    (folder / "file.txt").write_text("x")
    manager.log_files(run, folder / "file.txt")
    found = {path.relative_to(base).parts[1] for path in base.rglob("*") if path.is_file()}
    assert found == {"outputs", "file.txt"}
    assert (folder / "outputs" / "mlflow.db").is_file()
    assert len(list((folder / "outputs" / "mlartifacts").rglob("file.txt"))) == 1


def test_the_registry_makes_no_folder_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "what?"
    folder.mkdir()
    monkeypatch.chdir(folder)
    manager = ExperimentsManager("sqlite:///outputs/mlflow.db")
    manager.start_run("line/initial", "1" * 32)
    assert Champions(manager.uri).champion("line") is None
    assert [path.name for path in tmp_path.iterdir()] == ["what?"]


def test_a_server_that_only_a_record_names_is_not_asked(
    connections: list[tuple[str, int]], closed_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def no_test(other: object, winner: object) -> Significance:
        raise AssertionError

    address = f"http://127.0.0.1:{closed_port}"
    record = train_line(small_config(), Path("outputs/line/a"))
    record.tracking = Tracking(kind="mlflow", uri=address, mlflow_run_id="1" * 32)
    record.save()
    shutil.rmtree(record.folder / "model")
    with pytest.raises(RunNotFoundError, match=f"on which no run of yours was tracked.*MLFLOW_TRACKING_URI={address}"):
        require_model(record)
    _, notes = history("outputs", no_test)
    assert [note for note in notes if f"MLFLOW_TRACKING_URI={address}" in note]
    assert connections == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    history("outputs", no_test)
    assert connections
