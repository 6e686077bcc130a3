"""One process at a time computes what several would compute alike; the others wait, and find it in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["lock_of", "one_at_a_time"]

# Whoever waited so long computes beside the holder, which may be stopped, or on a machine that no longer answers.
LONGEST_WAIT_SECONDS = 3600.0


def lock_of(entry: Path) -> Path:
    """The file that is locked while somebody computes what belongs in an entry. Empty, and left when the lock is."""
    return entry.parent / f".{entry.name}.lock"


@contextmanager
def one_at_a_time(lock: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Inside the block no other thread or process is in the block of the same file, as far as the system has locks.

    The lock saves work and disk, nothing more: the block is entered without it where the file cannot be locked, and
    after an hour of waiting. The system frees the lock of a process that dies.

    Args:
        lock: the file, in a folder that is there.
        say: is told in a line that there is somebody to wait for.
    """
    held = _held(lock, say)
    try:
        yield
    finally:
        if held is not None:
            held.release()


def _held(lock: Path, say: Callable[[str], object]) -> BaseFileLock | None:
    from filelock import FileLock, Timeout

    found = FileLock(lock)
    try:
        try:
            found.acquire(timeout=0)
        except Timeout:
            say(f"{lock}: another process computes what belongs there; this one waits for it.")
            found.acquire(timeout=LONGEST_WAIT_SECONDS)
    except (OSError, NotImplementedError):  # Timeout is an OSError; the other tells of a disk without locks
        return None
    return found
