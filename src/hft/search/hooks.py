"""What the sweep loop tells the outside world, and what it asks of it. The loop knows no tracking and no config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
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
        notes: what the user should know about it, in words.
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
    notes: tuple[str, ...] = ()


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


class AllHooks(SweepHooks):
    """Several that take part, each told in turn. What is known is what the first of them knows."""

    def __init__(self, *hooks: SweepHooks) -> None:
        """Take those that are told, in order."""
        self.hooks = hooks

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """Before the first trial of this session."""
        for hook in self.hooks:
            hook.on_start(state, resumed=resumed)

    def known(self, params: Params, overrides: Sequence[str]) -> Known | None:
        """A result that is on record for these parameters, or None."""
        return next((known for hook in self.hooks if (known := hook.known(params, overrides)) is not None), None)

    def on_trial_start(self, trial: Trial, state: SweepState) -> None:
        """A trial is about to run."""
        for hook in self.hooks:
            hook.on_trial_start(trial, state)

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """A trial has ended and its end is on disk."""
        for hook in self.hooks:
            hook.on_trial_end(trial, state)

    def on_end(self, state: SweepState) -> None:
        """The session ends."""
        for hook in self.hooks:
            hook.on_end(state)
