"""One process at a time computes what an entry lacks, and no lock ever stops a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hft.stores import StoreFolder, digest, locks
from hft.stores.kinds import own_kind
from waiting import PATIENCE, wait_until

HOLD = """
import sys, time
from pathlib import Path
from hft.stores import StoreFolder
root, ready = sys.argv[1:]
with StoreFolder(root, None).computing("k", "a"):
    Path(ready).touch()
    time.sleep(600)
"""

COMPUTE_ONCE = """
import sys, time
from hft.stores import StoreFolder
store = StoreFolder(sys.argv[1], None, print)
with store.computing("k", "a"):
    if not store.files("k", "a", ".txt"):
        time.sleep(0.3)
        with store.publish_file("k", "a", ".txt") as path:
            path.write_text("content")
"""


pytestmark = pytest.mark.usefixtures("stores_of_a_new_process")


@pytest.fixture
def holder(store: StoreFolder, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the block of the entry `a`."""
    ready = tmp_path / "ready"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(store.root), str(ready)])
    wait_until(ready.exists, "a lock in another process")
    yield process
    process.kill()
    process.wait()


def test_of_processes_that_want_the_same_one_computes_it(store: StoreFolder) -> None:
    command = [sys.executable, "-c", COMPUTE_ONCE, str(store.root)]
    workers = [subprocess.Popen(command) for _ in range(3)]
    assert [worker.wait(PATIENCE) for worker in workers] == [0, 0, 0]
    assert len(store.files("k", "a", ".txt")) == 1


def test_a_holder_that_is_killed_blocks_nobody(
    store: StoreFolder, holder: subprocess.Popen[bytes], said: list[str]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with store.computing("k", "a"):
        pass
    assert said == []


def test_a_holder_that_never_ends_is_waited_for_no_longer_than_so_long_and_in_a_line(
    store: StoreFolder, holder: subprocess.Popen[bytes], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LONGEST_WAIT_SECONDS", 0.1)
    for _ in range(2):
        with store.computing("k", "a"):
            assert holder.poll() is None
    assert len(said) == 1
    assert "another run computes what this one needs" in said[0]


def test_entries_do_not_wait_for_one_another(
    store: StoreFolder, holder: subprocess.Popen[bytes], said: list[str]
) -> None:
    with store.computing("k", "b"):
        assert holder.poll() is None
    assert said == []


def test_where_nothing_can_be_locked_the_block_is_entered_all_the_same(store: StoreFolder, said: list[str]) -> None:
    store.root.parent.mkdir(exist_ok=True)
    store.root.write_text("a file where the folder should be")
    with store.computing("k", "a"):
        pass
    store.root.unlink()
    own_kind(store.root / "k")
    (store.root / "k" / ".a.lock").mkdir()
    with store.computing("k", "a"):
        pass
    assert said == []


def test_a_lock_is_no_entry_and_goes_with_its_entry(store: StoreFolder) -> None:
    key = digest("a")
    with store.computing("k", key), store.publish("k", key) as folder:
        (folder / "content").write_text("content")
    assert [entry.key for entry in store.entries()] == [key]
    store.clear()
    assert [path.name for path in (store.root / "k").iterdir()] == ["CACHEDIR.TAG"]


def test_an_error_in_the_block_passes_through_and_frees_the_lock(store: StoreFolder, said: list[str]) -> None:
    with pytest.raises(OSError, match="mine"), store.computing("k", "a"):
        raise OSError("mine")
    with store.computing("k", "a"):
        pass
    assert said == []


def test_what_is_different_of_one_entry_does_not_wait(
    store: StoreFolder, holder: subprocess.Popen[bytes], said: list[str]
) -> None:
    with store.computing("k", "a", "other"):
        assert holder.poll() is None
    assert said == []


def test_of_those_who_waited_none_waits_for_another_one(store: StoreFolder, said: list[str]) -> None:
    """Nothing is kept, say for want of room: they compute beside one another then."""
    entered, lock = threading.Barrier(3), store.root / ".a.lock"
    store.root.mkdir()

    def wait() -> None:
        with locks.one_at_a_time(lock, said.append):
            entered.wait(PATIENCE)

    with ThreadPoolExecutor(3) as pool:
        with locks.one_at_a_time(lock, said.append):
            waiting = [pool.submit(wait) for _ in range(3)]
            wait_until(lambda: len(said) == 3, "three that say that they wait")
        for one in waiting:
            one.result(PATIENCE)


def test_a_lock_goes_with_its_block_and_that_of_a_killed_process_when_all_is_cleared(
    store: StoreFolder, holder: subprocess.Popen[bytes]
) -> None:
    folder = store.root / "k"
    with store.computing("k", "b"):
        assert (folder / ".b.lock").exists()
    assert not (folder / ".b.lock").exists()
    holder.kill()
    holder.wait()
    assert (folder / ".a.lock").exists()
    store.clear()
    assert not (folder / ".a.lock").exists()
