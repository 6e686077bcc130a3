"""Trials that are calls of a Python function in this process: for searches without a config, tests and benchmarks."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hft.search.launching.job_outcome import Expected, outcome_of_error, outcome_of_value
from hft.search.launching.launcher import Finished
from hft.search.pruning.current import trial_without_hydra
from hft.search.specs import Params


class FunctionLauncher:
    """Calls `objective(params)` for each trial.

    The function gets the parameters as they are (not as overrides, and without the sweep's fixed ones), and returns a
    number, one a metric, or a mapping as a Hydra job may. An exception is a failed trial; only Ctrl-C ends the sweep.
    In it, `hft.search.report(value)` reports a value on the way. With one slot it runs in the thread that runs the
    sweep, else in a thread a trial. See `Sweep` for an example.
    """

    def __init__(self, objective: Callable[[Params], Any], n_parallel: int = 1) -> None:
        """
        Args:
            objective: of the parameters.
            n_parallel: calls at a time; more than one must be safe in threads.
        """
        self._objective = objective
        self._slots = n_parallel
        self._noted: deque[int] = deque()
        self._finished: queue.SimpleQueue[Finished | BaseException] = queue.SimpleQueue()
        self._folder: Path | None = None
        self._metrics: Sequence[str] = ("value",)
        self._params_of: Callable[[int], Params] | None = None

    @property
    def slots(self) -> int:
        """How many calls run at a time."""
        return self._slots

    def take(self, folder: Path, metrics: Sequence[str], params_of: Callable[[int], Params]) -> None:
        """The sweep tells of itself; see `TakesParams`."""
        self._folder, self._metrics, self._params_of = folder, metrics, params_of

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Notes the trial for `wait`, or, with several slots, calls the function in a thread."""
        if self._slots == 1:
            self._noted.append(number)
        else:
            threading.Thread(target=self._run_in_thread, args=(number,), name=f"trial-{number}", daemon=True).start()

    def wait(self, timeout: float | None = None) -> list[Finished]:
        """Trials that have ended; with one slot this is where they run."""
        if self._slots == 1:
            return [self._call(self._noted.popleft())] if self._noted else []
        try:
            found = [self._finished.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self._finished.empty():
            found.append(self._finished.get())
        for item in found:
            if isinstance(item, BaseException):
                raise item
        return [item for item in found if isinstance(item, Finished)]

    def close(self) -> None:
        """Forgets what was not begun. Threads that still run cannot be ended; nobody waits for them."""
        self._noted.clear()

    def _run_in_thread(self, number: int) -> None:
        try:
            self._finished.put(self._call(number))
        except BaseException as error:  # e.g. KeyboardInterrupt: raised again in the thread of the sweep
            self._finished.put(error)

    def _call(self, number: int) -> Finished:
        if self._folder is None or self._params_of is None:
            raise RuntimeError("FunctionLauncher runs within a Sweep, which tells it the parameters")
        began, expected = time.perf_counter(), Expected(tuple(self._metrics))
        with trial_without_hydra(self._folder, number):
            try:
                value = self._objective(dict(self._params_of(number)))
            except (Exception, SystemExit) as error:  # a function that exits must not end the sweep
                return Finished(number, outcome_of_error(error, seconds=time.perf_counter() - began))
        return Finished(number, outcome_of_value(value, expected, seconds=time.perf_counter() - began))
