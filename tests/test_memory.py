"""A want of memory is told as such, in whatever words a library says it."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from hft.errors import DataError, OutOfMemoryError
from hft.memory import out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError("libtorch_cpu.so: cannot allocate memory in static TLS block"),
    ],
    ids=repr,
)
def test_the_words_of_libraries_are_known_also_below_another_error(error: Exception) -> None:
    for found in (error, _raised_from(error)):
        told = out_of_memory(found)
        assert told is not None
        assert told.exit_status == 1
        assert "out of memory" in str(told)
        assert "settings.batch_size" in str(told)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory of 3 items"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("shapes differ"),
        KeyError("out of memory"),
    ],
    ids=repr,
)
def test_other_errors_are_no_want_of_memory(error: Exception) -> None:
    assert out_of_memory(error) is None


def test_one_that_was_told_already_is_told_as_it_was() -> None:
    told = OutOfMemoryError("the GPU")
    assert out_of_memory(_raised_from(told)) is told


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")
def test_a_limit_of_the_shell_is_named() -> None:
    """A real one: a block is asked for that is larger than all that the process may have."""
    code = """
import resource
from hft.cli.failures import exit_status
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    bytearray(3 << 30)
except MemoryError as error:
    raise SystemExit(exit_status(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("hft: out of memory. This process may have 2.0 GiB (ulimit -v)")


def _raised_from(cause: Exception) -> Exception:
    error = DataError("sessions.jsonl: cannot be read")
    error.__cause__ = cause
    return error
