"""What a writer left is swept, what it still writes is not: also where its process id says nothing here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hft.stores import temporaries
from hft.stores.temporaries import sweep, temporary_path

HOURS = 3600.0


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def written_by(folder: Path, pid: int, where: str | None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that a process of an id began to write; `where`: a namespace of ids that is not this one."""
    with monkeypatch.context() as other:
        other.setattr(os, "getpid", lambda: pid)
        if where is not None:
            other.setattr(os, "readlink", lambda path: where)
        path = temporary_path(folder, "key")
    path.write_bytes(b"half")
    return path


def test_what_a_dead_process_left_is_swept_at_once(
    tmp_path: Path, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = written_by(tmp_path, dead_pid, None, monkeypatch)
    living = written_by(tmp_path, os.getpid(), None, monkeypatch)
    assert sweep(tmp_path) == 4
    assert not left.exists()
    assert living.exists()


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="asks Linux for its namespaces")
def test_a_writer_in_another_container_is_known_by_when_it_last_wrote(
    tmp_path: Path, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written_by(tmp_path, dead_pid, "pid:[4026532999]", monkeypatch)
    assert sweep(tmp_path) == 0
    assert path.exists()
    long_ago = time.time() - 25 * HOURS
    os.utime(path, (long_ago, long_ago))
    assert sweep(tmp_path) == 4
    assert not path.exists()


def test_a_system_that_tells_no_namespace_has_names_of_hosts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "readlink", refused)
    path = temporary_path(tmp_path, "key")
    path.touch()
    assert temporaries.is_temporary(path)
    sweep(tmp_path)
    assert path.exists()
