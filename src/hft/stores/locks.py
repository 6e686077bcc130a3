"""One process at a time computes what several would compute alike; the others wait, and find it in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["is_lock", "lock_of", "one_at_a_time"]

# Whoever waited so long computes beside the holder, which may be stopped, or on a machine that no longer answers.
LONGEST_WAIT_SECONDS = 3600.0
_SUFFIX = ".lock"


def lock_of(entry: Path, what: str = "") -> Path:
    """The file that is locked while somebody computes `what` belongs in an entry. Empty, and removed with the lock."""
    return entry.parent / f".{entry.name}{what and '.'}{what}{_SUFFIX}"


def is_lock(path: Path) -> bool:
    """Whether this is the name of a lock."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


@contextmanager
def one_at_a_time(lock: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Whoever comes while another thread or process is inside the block waits until that one has left it.

    Who has waited goes on without the lock: what it waited for is there now, or was not kept and will not be. The lock
    saves work and disk, nothing more: the block is entered without it where the file cannot be locked, and after an
    hour of waiting. Where the system has locks, it frees those of a process that dies.

    Args:
        lock: the file, in a folder that is there.
        say: is told in a line that there is somebody to wait for.
    """
    held = _held(lock, say)
    try:
        yield
    finally:
        if held is not None:
            _release(held, lock)


def _held(lock: Path, say: Callable[[str], object]) -> BaseFileLock | None:
    from filelock import FileLock, Timeout

    found = FileLock(lock)
    try:
        found.acquire(timeout=0)
        return found
    except Timeout:
        say(
            f"{lock.parent.name}: another run computes what this one needs; it waits for that, an hour at most. "
            "stores=none would not wait."
        )
    except (OSError, NotImplementedError):  # the other tells of a disk without locks
        return None
    with suppress(OSError, NotImplementedError):  # Timeout is an OSError
        found.acquire(timeout=LONGEST_WAIT_SECONDS)
        _release(found, lock)
    return None


def _release(held: BaseFileLock, lock: Path) -> None:
    """Who waits for the removed file is no longer excluded, which costs work at most."""
    with suppress(OSError):
        held.release()
    with suppress(OSError):
        lock.unlink(missing_ok=True)
