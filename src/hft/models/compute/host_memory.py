"""Memory of this machine, as far as this process may use it: a container's limit counts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["HostMemory", "host_memory"]

# Where an operating system does not tell.
_ASSUMED = 4 << 30


@dataclass(frozen=True)
class HostMemory:
    """In bytes.

    Args:
        total: what this process could have at most.
        available: what it can have now; what the page cache would give back counts as well.
    """

    total: int
    available: int


def host_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> HostMemory:
    """Of the machine, or of the tightest control group around this process (Linux: cgroup v2 and v1).

    Args:
        proc, groups: where Linux shows its processes and control groups.
    """
    machine = _machine(proc)
    limits = [machine, *_control_groups(proc, groups)]
    return HostMemory(min(limit.total for limit in limits), max(0, min(limit.available for limit in limits)))


def _machine(proc: Path) -> HostMemory:
    try:
        lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
        sizes = {words[0].rstrip(":"): int(words[1]) << 10 for words in lines if len(words) > 1}
        return HostMemory(sizes["MemTotal"], sizes["MemAvailable"])
    except (OSError, KeyError, ValueError):
        pass
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        total = _ASSUMED
    return HostMemory(total, total // 2)


def _control_groups(proc: Path, groups: Path) -> Iterator[HostMemory]:
    """The limits around this process, of its own group and of those that hold it."""
    try:
        lines = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers == "":
            root, names = groups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = groups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for folder in dict.fromkeys((inside, *inside.parents)):
            limit = _limit(root / folder, *names)
            if limit is not None:
                yield limit


def _limit(folder: Path, limit_name: str, usage_name: str, reclaimable_name: str) -> HostMemory | None:
    """None where the group has no limit, or is not to be seen from here."""
    try:
        limit, used = (int((folder / name).read_text()) for name in (limit_name, usage_name))
        stat = dict(line.split(maxsplit=1) for line in (folder / "memory.stat").read_text().splitlines())
        return HostMemory(limit, limit - used + int(stat.get(reclaimable_name, 0)))
    except (OSError, ValueError):
        return None
