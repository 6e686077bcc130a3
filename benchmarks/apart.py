"""Runs a function in a process of its own and gives back what it returns. Not a benchmark itself."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SPARED = 1 << 30  # bytes of memory that a process leaves to others


def run_apart(work: Callable[..., Any], log: Path, threads: int | None = None, **options: Any) -> Any:
    """The value of work(**options), a function of a module, called in a fresh process.

    Args:
        work: called there; options and value are pickled.
        log: file for what it prints.
        threads: CPU threads of torch there; None leaves the choice to torch.
        options: of `work`.

    Raises:
        SystemExit: it failed; the end of what it printed is the message.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_call, args=(work, theirs, str(log), threads, options))
    process.start()
    theirs.close()
    try:
        value = ours.recv()
    except EOFError:
        process.join()
        raise SystemExit(end_of(log, f"{work.__name__} failed:")) from None
    process.join()
    return value


def end_of(log: Path, title: str) -> str:
    """The last lines of a log under a title."""
    return "\n".join([title, *log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]])


def enter(log: str, threads: int | None) -> None:
    """The first thing that such a process does: its output goes to the log, and torch has its threads."""
    with open(log, "ab", buffering=0) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    _bound_memory()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _bound_memory() -> None:
    """Linux: no more than what is free now, so that what does not fit fails by itself and ends no other process."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    import resource

    (free,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    resource.setrlimit(resource.RLIMIT_DATA, (max(free - SPARED, SPARED), resource.RLIM_INFINITY))


def _call(work: Callable[..., Any], connection: Any, log: str, threads: int | None, options: Mapping[str, Any]) -> None:
    enter(log, threads)
    connection.send(work(**options))
