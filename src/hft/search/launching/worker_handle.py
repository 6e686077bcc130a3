"""The sweep's side of a worker process: starting it, giving it jobs, hearing of its end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from hft.errors import TrainingError
from hft.search.launching.worker_process import FINISHED, UNUSABLE, serve
from hft.user_modules import SAFE_PATH

# What a process that has closed its pipe may need to end.
_END_SECONDS = 1.0


class WorkerDied:
    """A worker process ended in the middle of a job.

    Args:
        exitcode: as `multiprocessing` has it, the negative number of the signal that killed it.
    """

    def __init__(self, exitcode: int | None) -> None:
        """Keep how it ended."""
        self.exitcode = exitcode

    @property
    def reason(self) -> str:
        """How, in words."""
        if self.exitcode is None or self.exitcode >= 0:
            return f"the worker process ended with exit status {self.exitcode} in the middle of the trial"
        try:
            name = signal.Signals(-self.exitcode).name
        except ValueError:
            name = f"signal {-self.exitcode}"
        hint = " (by hand, or because memory ran out)" if name == "SIGKILL" else ""
        return f"the worker process was killed by {name}{hint}"


class WorkerProcess:
    """One process and its pipe.

    Args:
        work: a pickled Work.
        environment: variables of its slot.
        log: file for what it writes outside of any job.
    """

    def __init__(self, work: bytes, environment: dict[str, str], log: Path) -> None:
        """Start it."""
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.number: int | None = None
        self.process: SpawnProcess = context.Process(
            target=serve, args=(theirs, work, environment, str(log), os.getpid()), name="sweep worker"
        )
        with _interrupts_held_back(), _without_main_module(), _without_current_folder():
            self.process.start()
        theirs.close()

    @property
    def sources(self) -> list[Any]:
        """What becomes ready when there is something to hear."""
        return [self.connection, self.process.sentinel]

    def give(self, number: int, overrides: Sequence[str]) -> bool:
        """Send a job; False: the process is gone."""
        if not self.process.is_alive():
            return False
        try:
            self.connection.send((number, list(overrides)))
        except OSError:
            return False
        self.number = number
        return True

    def ended(self) -> list[tuple[int, bytes | WorkerDied]]:
        """The job, if it has ended."""
        lives = self.process.is_alive()  # asked first: a last word may still be in the pipe of a dead process
        number = self.number
        assert number is not None
        try:
            while self.connection.poll():
                kind, content = self.connection.recv()
                if kind == UNUSABLE:
                    raise TrainingError(_unusable(content))
                if kind == FINISHED:
                    self.number = None
                    return [(number, content)]
        except (EOFError, OSError):
            lives = False
        if lives:
            return []
        self.process.join(_END_SECONDS)
        self.number = None
        return [(number, WorkerDied(self.process.exitcode))]

    def stop(self) -> None:
        """Tell it to end: an idle one ends at once, a busy one's job hears a KeyboardInterrupt."""
        if self.number is None:
            with contextlib.suppress(OSError):
                self.connection.send(None)
        else:
            self.process.terminate()

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()


def _unusable(reason: str) -> str:
    return (
        f"n_parallel: a worker process cannot be prepared for the jobs: {reason}. "
        f"The log of the workers in the sweep's folder has the whole error; n_parallel=1 does without workers."
    )


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process that is started within the block begins with SIGINT held back, until it can handle it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_main_module = threading.Lock()


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Spawned processes would run the app's script once more; the jobs come by value and have no need of it, and a
    script that calls its main function unguarded would start the app again."""
    with _main_module:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextlib.contextmanager
def _without_current_folder() -> Iterator[None]:
    """A process that is started within the block takes its import path from this one: what lies in the current folder
    does not come before Python's own modules while it starts."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
