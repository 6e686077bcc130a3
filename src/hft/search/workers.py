"""Trials in worker processes of our own: one process and one pipe a slot, so that one's death is one failed trial."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError, TrainingError
from hft.search.launcher import Finished
from hft.search.slots import slot_environment, visible_gpus
from hft.search.trial import Outcome
from hft.search.worker_process import FINISHED, UNUSABLE, Work, serve

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

# In the sweep's folder: what workers write outside of any trial. Removed if it is empty in the end.
WORKER_LOG = "workers.log"

# Between looks at whether a worker lives: a process forked by one may hold its pipe open after its death.
_LOOK_SECONDS = 1.0
# What a job has to clean up after Ctrl-C before it is killed.
_GRACE_SECONDS = 5.0


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


class WorkerSlots:
    """Worker processes, started when they are first needed and replaced when they die."""

    def __init__(self, work: Work, slots: int, folder: Path) -> None:
        """Pickle what workers need.

        Args:
            work: the jobs.
            slots: how many run at a time.
            folder: of the sweep.

        Raises:
            ConfigError: the jobs cannot be sent to another process.
        """
        self.slots = slots
        self._work = _pickled(work)
        self._log = folder / WORKER_LOG
        self._gpus = visible_gpus()
        self._workers: list[_Worker | None] = [None] * slots

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Give a job to a free slot's worker."""
        slot = next(slot for slot, worker in enumerate(self._workers) if worker is None or worker.number is None)
        worker = self._workers[slot]
        if worker is not None and worker.give(number, overrides):
            return
        if worker is not None:
            worker.kill()
        fresh = _Worker(self._work, slot_environment(slot, self.slots, self._gpus), self._log)
        self._workers[slot] = fresh
        if not fresh.give(number, overrides):
            fresh.number = number

    def wait(self, timeout: float | None = None) -> list[tuple[int, bytes | WorkerDied]]:
        """Jobs that have ended: (number, how, as the worker pickled it).

        Raises:
            TrainingError: a worker cannot run jobs at all.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while busy := [worker for worker in self._workers if worker is not None and worker.number is not None]:
            ended = [end for worker in busy for end in worker.ended()]
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            if ended or left <= 0:
                return ended
            connection.wait([source for worker in busy for source in worker.sources], timeout=left)
        return []

    def close(self) -> None:
        """Tell idle workers to end and stop busy ones; kill those that have not ended in time."""
        workers = [worker for worker in self._workers if worker is not None]
        self._workers = [None] * self.slots
        for worker in workers:
            worker.stop()
        deadline = time.monotonic() + _GRACE_SECONDS
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            worker.kill()
        with contextlib.suppress(OSError):
            if self._log.stat().st_size == 0:
                self._log.unlink()


class WorkerLauncher:
    """The launcher of a search with `n_parallel` above 1."""

    def __init__(self, slots: WorkerSlots) -> None:
        """Take slots whose work has metrics."""
        self._slots = slots
        self._started: dict[int, float] = {}

    @property
    def slots(self) -> int:
        """How many trials run at a time."""
        return self._slots.slots

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Give a trial to a free worker."""
        self._started[number] = time.monotonic()
        self._slots.start(number, overrides)

    def wait(self, timeout: float | None = None) -> list[Finished]:
        """Trials that have ended; a worker's death is a failed one."""
        import pickle

        finished = []
        for number, end in self._slots.wait(timeout):
            seconds = time.monotonic() - self._started.pop(number)
            if isinstance(end, WorkerDied):
                outcome = Outcome("failed", reason=end.reason, seconds=seconds)
            else:
                outcome = pickle.loads(end)
            finished.append(Finished(number, outcome))
        return finished

    def close(self) -> None:
        """End the workers."""
        self._slots.close()


def launch_in_workers(slots: WorkerSlots, batch: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run a batch of jobs, as Hydra's `launch` does: their returns in order.

    Args:
        slots: workers whose work has no metrics.
        batch: overrides of each job.
        first: number of the first.

    Raises:
        TrainingError: a worker died.
    """
    import pickle

    waiting = [(first + index, overrides) for index, overrides in enumerate(batch)]
    returns: dict[int, Any] = {}
    running = 0
    while waiting or running:
        while waiting and running < slots.slots:
            slots.start(*waiting.pop(0))
            running += 1
        for number, end in slots.wait():
            running -= 1
            if isinstance(end, WorkerDied):
                raise TrainingError(f"job {number}: {end.reason}")
            returns[number] = pickle.loads(end)
            if isinstance(returns[number], BaseException):
                raise returns[number]
    return [returns[number] for number in sorted(returns)]


class _Worker:
    """One process and its pipe."""

    def __init__(self, work: bytes, environment: dict[str, str], log: Path) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.number: int | None = None
        self.process: SpawnProcess = context.Process(
            target=serve, args=(theirs, work, environment, str(log), os.getpid()), name="sweep worker"
        )
        with _interrupts_held_back(), _without_main_module():
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
        self.process.join(_LOOK_SECONDS)
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


def _pickled(work: Work) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(work))
    except Exception as error:
        raise ConfigError(
            f"n_parallel: the job's function cannot be sent to worker processes ({type(error).__name__}: {error}). "
            "Define it in a module that the app's script imports, or say n_parallel=1."
        ) from error


def _unusable(reason: str) -> str:
    return (
        f"n_parallel: a worker process cannot be prepared for the jobs: {reason}. "
        f"{WORKER_LOG} in the sweep's folder has the whole error; n_parallel=1 does without workers."
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
