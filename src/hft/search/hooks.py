"""What the sweep loop tells the outside world, and what it asks of it. The loop knows no tracking and no config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hft.search.settings import SearchSettings
from hft.search.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Known, Trial


@dataclass(frozen=True)
class SweepState:
    """A sweep as it stands.

    Args:
        folder: of the sweep.
        space: of the first stage.
        settings: of the search.
        trials: all so far, by number.
        best: the best trial that is done, of the last stage that has one; of equal ones the first. Of a
            multi-objective sweep the first of `front`. None: none is done.
        front: multi-objective: trials that no other beats in every metric; else best alone.
        elapsed: seconds of all sessions of the sweep.
        stage: number of the running stage.
        ended: None while it runs; then why it ended: `budget`, `timeout`, `exhausted`, `failures`, `stopped`.
        is_search: False for an exhaustive enumeration.
    """

    folder: Path
    space: SearchSpace
    settings: SearchSettings
    trials: tuple[Trial, ...]
    best: Trial | None
    front: tuple[Trial, ...]
    elapsed: float
    stage: int = 0
    ended: str | None = None
    is_search: bool = True


class SweepHooks:
    """Takes part in a sweep. Every method may be overridden; these do nothing."""

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """Before the first trial of this session, the record's trials replayed."""

    def known(self, params: Params, overrides: Sequence[str]) -> Known | None:
        """A result that is on record for these parameters (full overrides of the trial), or None."""

    def on_trial_start(self, trial: Trial, state: SweepState) -> None:
        """A trial is about to run."""

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """A trial has ended and its end is on disk."""

    def on_end(self, state: SweepState) -> None:
        """The session ends: `state.ended` says why. Also called on Ctrl-C (`stopped`)."""
