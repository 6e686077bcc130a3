"""Trials through Hydra's launchers: in this process one after another, or each `launch` in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hft.search.launching.job_outcome import Expected, keep_traceback, outcome_of_error, outcome_of_job
from hft.search.launching.launcher import Finished
from hft.search.trial import Outcome

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

# (job overrides, number) to the job's return. Blocks until the job has ended.
LaunchOne = Callable[[list[str], int], "JobReturn"]


class InProcessLauncher:
    """One trial at a time, in the thread that waits for it."""

    def __init__(self, launch: LaunchOne, expected: Expected) -> None:
        """Take how a job is launched, and what it is to return."""
        self._launch = launch
        self._expected = expected
        self._noted: list[tuple[int, list[str]]] = []

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Note the trial for `wait`."""
        self._noted.append((number, list(overrides)))

    def wait(self, timeout: float | None = None) -> list[Finished]:
        """Run the trial that was noted, to its end, however long that takes."""
        if not self._noted:
            return []
        number, overrides = self._noted.pop(0)
        outcome = launched(self._launch, number, overrides, self._expected)
        keep_traceback(outcome)
        return [Finished(number, outcome)]

    def close(self) -> None:
        """Forget what was noted."""
        self._noted.clear()


class ThreadLauncher:
    """Trials through launchers that run jobs elsewhere (joblib, submitit): a thread waits for each."""

    def __init__(self, launches: Sequence[LaunchOne], expected: Expected) -> None:
        """Take how a job is launched in each slot (launchers keep state, so each slot has its own)."""
        self._launches = list(launches)
        self._expected = expected
        self._free = list(range(len(self._launches)))
        self._running: set[int] = set()
        self._ended: queue.Queue[tuple[int, Finished]] = queue.Queue()

    @property
    def slots(self) -> int:
        """How many launches may be going on."""
        return len(self._launches)

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Launch the trial from a thread. It must not outlive this process, which may be told to stop."""
        slot = self._free.pop(0)
        self._running.add(number)
        threading.Thread(
            target=self._run, args=(slot, number, list(overrides)), name=f"trial {number}", daemon=True
        ).start()

    def wait(self, timeout: float | None = None) -> list[Finished]:
        """Trials that have ended."""
        ended: list[Finished] = []
        while self._running:
            try:
                slot, finished = self._ended.get(block=not ended, timeout=timeout)
            except queue.Empty:
                break
            self._free.append(slot)
            self._running.discard(finished.number)
            ended.append(finished)
        return ended

    def close(self) -> None:
        """Wait for nothing more. A job that a scheduler has taken goes on there; its end is not heard."""
        self._running.clear()

    def _run(self, slot: int, number: int, overrides: list[str]) -> None:
        try:
            outcome = launched(self._launches[slot], number, overrides, self._expected)
        except BaseException as error:
            # Whatever it is, the sweep waits for this thread's word. KeyboardInterrupt is of the job's process: Ctrl-C
            # stops the sweep in the main thread, and then nobody asks for this.
            outcome = Outcome("failed", reason=type(error).__name__)
        # What comes from another process has no traceback, and what it refers to should not be kept alive.
        self._ended.put((slot, Finished(number, replace(outcome, error=None))))


def launched(launch: LaunchOne, number: int, overrides: list[str], expected: Expected) -> Outcome:
    """How a trial ends that is launched now. A job that calls `sys.exit` has failed, and so has one that a launcher
    or Hydra refuses to run; KeyboardInterrupt comes through."""
    started = time.monotonic()
    try:
        return outcome_of_job(launch(overrides, number), expected, time.monotonic() - started)
    except (Exception, SystemExit) as error:
        return outcome_of_error(error, seconds=time.monotonic() - started)
