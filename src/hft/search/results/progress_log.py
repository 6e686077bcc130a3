"""A line a trial, for logs."""

from __future__ import annotations

from collections.abc import Callable

from hft.search.hooks import SweepHooks, SweepState
from hft.search.results.values_as_text import counted, number_text
from hft.search.spaces.overrides import override_lines
from hft.search.trial import Trial


class ProgressLog(SweepHooks):
    """Tells each trial's end in a line: number, values or reason, parameters, and the best so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Take what a line is given to."""
        self._say = say

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """Where the sweep is, and whether it goes on."""
        again = sum(trial.state == "running" for trial in state.trials)
        interrupted = f" and {again} that {'were' if again > 1 else 'was'} interrupted" if again else ""
        after = counted(len(state.trials) - again, "trial")
        verb = f"Going on after {after}{interrupted}" if resumed else "Searching"
        self._say(f"{verb} in {state.folder}")

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """The trial's line."""
        best = "" if state.best is None else f"; best {_values(state.best)} (trial {state.best.number})"
        self._say(f"trial {trial.number}: {_end(trial)}; {' '.join(override_lines(trial.params))}{best}")


def _end(trial: Trial) -> str:
    known = f" (known from {trial.known_from})" if trial.known_from else ""
    if trial.state == "done":
        return f"{_values(trial)}{known}"
    return f"{trial.state}: {trial.reason}{known}"


def _values(trial: Trial) -> str:
    return ", ".join(number_text(value) for value in trial.values) or "no value"
