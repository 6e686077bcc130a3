"""Names of what is being written or removed: they tell whose it is, so that what a dead process left can be swept.

A process is told by its id and by what that id counts in: the host and, in a container, the namespace.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
import uuid
from pathlib import Path

from hft.stores.keys import digest
from hft.stores.kinds import children

__all__ = ["bytes_under", "is_temporary", "remove", "sweep", "temporary_path"]

# A process of another host or container can't be asked whether it lives: what it left untouched for a day is left over.
_FOREIGN_SECONDS = 24 * 3600.0
_NAME = re.compile(r"^\.(?P<key>.+)\.(?P<host>[A-Za-z0-9_-]*)-(?P<pid>\d+)-[0-9a-f]{12}\.partial$")


def temporary_path(folder: Path, key: str) -> Path:
    """A name in `folder` that nothing has yet, for something of `key` that this process is about to write."""
    return folder / f".{key}.{_host()}-{os.getpid()}-{uuid.uuid4().hex[:12]}.partial"


def is_temporary(path: Path) -> bool:
    """Whether this is the name of something half-written or half-removed."""
    return _NAME.match(path.name) is not None


def sweep(folder: Path) -> int:
    """Removes what dead processes left in a folder.

    Returns:
        How many bytes that frees.
    """
    freed = 0
    for path in children(folder):
        if is_temporary(path) and not _owner_lives(path):
            freed += bytes_under(path)
            remove(path)
    return freed


def remove(path: Path) -> None:
    """Removes a file or a folder with all in it. What is gone or cannot be removed is passed over."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        pass


def bytes_under(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; what vanishes meanwhile counts as nothing."""
    try:
        if not path.is_dir():
            return path.lstat().st_size
    except OSError:
        return 0
    return sum(bytes_under(child) for child in children(path))


def _owner_lives(path: Path) -> bool:
    match = _NAME.match(path.name)
    assert match is not None
    if match["host"] != _host():
        try:
            return time.time() - path.stat().st_mtime < _FOREIGN_SECONDS
        except OSError:
            return True
    return _is_running(int(match["pid"]))


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # there os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _host() -> str:
    """Where an id of a process means what it means to this one: containers may share a host's name and count their own.

    On Linux the digits are of this namespace of ids.
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", platform.node())
    try:
        return f"{name}-{digest(os.readlink('/proc/self/ns/pid'))[:8]}"
    except OSError:
        return name
