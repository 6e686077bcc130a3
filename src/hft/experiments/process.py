"""The process that runs a run, marked so that a dead one is told from a living one."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Process(BaseModel):
    """A process of some machine.

    Args:
        host: name of the machine.
        pid: process id there.
        started: a mark of its start, so that a process id used again is not taken for it.
    """

    model_config = ConfigDict(extra="forbid")

    host: str | None = None
    pid: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    started: str | None = None

    @classmethod
    def current(cls) -> Process:
        """This process."""
        return cls(host=socket.gethostname(), pid=os.getpid(), started=_start_mark(os.getpid()))

    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.pid is not None and self.host == socket.gethostname()

    def may_be_alive(self) -> bool:
        """Whether the process still runs; on another machine nobody can tell, and it may."""
        if self.pid is None or not self.is_here():
            return True
        mark = _start_mark(self.pid)
        return mark is not None and mark == self.started


def _start_mark(pid: int) -> str | None:
    """When the process started, in the system's ticks; `unknown` where the system keeps it to itself; None: gone."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()  # from the third on: state, parent, ...
        return None if fields[0] == "Z" else fields[19]
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return "unknown"
