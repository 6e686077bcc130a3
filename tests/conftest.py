"""What the tests of every room may use."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

import servers
from hft.user_modules import SAFE_PATH

if TYPE_CHECKING:
    from hft.stores import StoreFolder
    from postgres_server import PostgresServer

# A busy machine is slow, which is no failure; the same cases at every run make a failure a finding.
settings.register_profile("hft", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hft")

_imported = {"before the last freeze": 0}


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a real server."""
    for item in items:
        if servers.FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this file's own."""
    from postgres_server import running_postgres

    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of an S3 of this file's own."""
    from s3_server import running_s3

    with running_s3() as address:
        yield address


@pytest.fixture(autouse=True)
def import_path_of_children_as_before() -> Iterator[None]:
    """The command takes the current folder from the import path of the processes that it starts."""
    before = os.environ.get(SAFE_PATH)
    yield
    if before is None:
        os.environ.pop(SAFE_PATH, None)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`hft train --info` has Hydra log to the stderr of its moment: the next test has another one."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def pictures_where_they_are_looked_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes half of a small run: after the first one of a process, runs marked `pictures` alone draw theirs."""
    run = sys.modules.get("hft.running.run")
    if run is not None and request.node.get_closest_marker("pictures") is None:
        monkeypatch.setattr(run, "save_pictures", lambda report, folder: [])


@pytest.fixture(autouse=True)
def imports_out_of_the_way_of_the_collector() -> Iterator[None]:
    """A full collection looks through all that imports have left, which took a quarter of the suite's time."""
    yield
    if len(sys.modules) > _imported["before the last freeze"] + 300:
        gc.collect()
        gc.freeze()
        _imported["before the last freeze"] = len(sys.modules)


@pytest.fixture(scope="session", autouse=True)
def state_folder_of_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Classes that a test trains with are not trusted by the commands of whoever runs the tests."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def stores_of_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store has been used yet, and no line about one said."""
    from hft.stores import folder

    monkeypatch.setattr(folder, "_touched", set())
    monkeypatch.setattr(folder, "_said", set())


@pytest.fixture
def said() -> list[str]:
    """The lines of the fixture `store`."""
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> StoreFolder:
    """An empty one."""
    from hft.stores import StoreFolder

    return StoreFolder(tmp_path / "stores", None, said.append)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: HFT_SHARED_DATA, or ../shared/data beside the project."""
    named = os.environ.get("HFT_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder} (HFT_SHARED_DATA names the folder)")
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a two-layer BERT of width 32 and a real WordPiece tokenizer. Read it, do not write to it."""
    from tiny_models import build_tiny_bert

    return build_tiny_bert(tmp_path_factory.mktemp("tiny_bert"))
