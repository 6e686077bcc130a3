"""How far a sweep is: counts, its budget, the time left."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hft.search.hooks import SweepState


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Args:
        done, pruned, failed, running: trials that were run.
        known: trials answered from the record, which count against no budget.
    """

    done: int
    pruned: int
    failed: int
    running: int
    known: int

    @classmethod
    def of(cls, state: SweepState) -> Progress:
        """Counts a sweep's trials."""
        run = Counter(trial.state for trial in state.trials if trial.known_from is None)
        known = sum(trial.known_from is not None for trial in state.trials)
        return cls(run["done"], run["pruned"], run["failed"], run["running"], known)

    @property
    def ended(self) -> int:
        """Trials that were run and have ended."""
        return self.done + self.pruned + self.failed

    def in_words(self, *, with_zeros: bool = False) -> str:
        """`6 done, 1 running, 2 failed, 1 from the record`."""
        counts = {
            "done": self.done, "running": self.running, "pruned": self.pruned, "failed": self.failed,
            "from the record": self.known,
        }  # fmt: skip
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count or with_zeros) or "none yet"


def budget_of(state: SweepState) -> int | None:
    """Trials that the sweep may run in all, by its budget, its stages or the size of its space; None: no limit."""
    settings = state.settings
    limits = [settings.max_evals, sum(stage.max_evals for stage in settings.stages) or None]
    if not settings.stages:
        limits.append(state.space.size)
    return min((limit for limit in limits if limit is not None), default=None)


def seconds_left(state: SweepState, budget: int | None, running: Mapping[int, float], elapsed: float) -> float | None:
    """Seconds until the sweep ends, by the median of the trials that are done; None: nobody can know.

    Args:
        state: of the sweep.
        budget: trials in all.
        running: seconds that each trial in flight has run, by number.
        elapsed: seconds of the sweep.
    """
    settings = state.settings
    times = [
        (trial.stage, trial.seconds) for trial in state.trials if trial.state == "done" and trial.known_from is None
    ]
    # Trials of another stage may be much shorter.
    of_stage = [seconds for stage, seconds in times if stage == state.stage] or [seconds for _, seconds in times]
    limits = [] if settings.timeout is None else [max(0.0, settings.timeout - elapsed)]
    if budget is not None and of_stage:
        each = statistics.median(of_stage)
        to_come = max(0, budget - Progress.of(state).ended)
        begun = sum(min(seconds, each) for seconds in running.values())
        limits.append(max(0.0, to_come * each - begun) / min(settings.n_parallel, max(1, to_come)))
    return min(limits, default=None)
