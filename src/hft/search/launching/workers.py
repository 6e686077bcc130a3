"""Trials in worker processes of our own: one process and one pipe a slot, so that one's death is one failed trial."""

from __future__ import annotations

import contextlib
import logging
import pickle
import time
from collections.abc import Sequence
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError, TrainingError
from hft.search.launching.launcher import Finished
from hft.search.launching.slots import slot_environment, visible_gpus
from hft.search.launching.worker_handle import WorkerDied, WorkerProcess
from hft.search.launching.worker_process import Work
from hft.search.trial import Outcome

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

log = logging.getLogger(__name__)

# In the sweep's folder: what workers write outside of any trial. Removed if it is empty in the end.
WORKER_LOG = "workers.log"

# Between looks at whether a worker lives: a process forked by one may hold its pipe open after its death.
_LOOK_SECONDS = 1.0
# What a job has to clean up after Ctrl-C before it is killed.
_GRACE_SECONDS = 5.0


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
        self._workers: list[WorkerProcess | None] = [None] * slots

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Give a job to a free slot's worker."""
        slot = next(slot for slot, worker in enumerate(self._workers) if worker is None or worker.number is None)
        worker = self._workers[slot]
        if worker is not None and worker.give(number, overrides):
            return
        if worker is not None:
            worker.kill()
        fresh = WorkerProcess(self._work, slot_environment(slot, self.slots, self._gpus), self._log)
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
            # Without workers of its own the log is that of another process, which holds the sweep.
            if workers and self._log.stat().st_size == 0:
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
    """Run a batch of jobs, as Hydra's `launch` does: their returns in order. A job whose worker died, or that could
    not be run, has failed.

    Args:
        slots: workers whose work expects nothing.
        batch: overrides of each job.
        first: number of the first.
    """
    waiting = [(first + index, overrides) for index, overrides in enumerate(batch)]
    returns: dict[int, JobReturn] = {}
    running = 0
    while waiting or running:
        while waiting and running < slots.slots:
            number, overrides = waiting.pop(0)
            log.info("\t#%d : %s", number, " ".join(overrides))
            slots.start(number, overrides)
            running += 1
        for number, end in slots.wait():
            running -= 1
            returns[number] = _as_return(number, end, batch[number - first])
    return [returns[number] for number in sorted(returns)]


def _as_return(number: int, end: bytes | WorkerDied, overrides: Sequence[str]) -> JobReturn:
    from hydra.core.utils import JobReturn, JobStatus

    came: Any = TrainingError(f"job {number}: {end.reason}") if isinstance(end, WorkerDied) else pickle.loads(end)
    if isinstance(came, JobReturn):
        return came
    failed = JobReturn(overrides=list(overrides), status=JobStatus.FAILED)
    failed.return_value = came
    return failed


def _pickled(work: Work) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(work))
    except Exception as error:
        raise ConfigError(
            f"n_parallel: the job's function cannot be sent to worker processes ({type(error).__name__}: {error}). "
            "Define it in a module that the app's script imports, or say n_parallel=1."
        ) from error
