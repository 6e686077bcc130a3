"""Keeps the weights of the best trials and gives the space of all others back."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from hft.search.hooks import SweepHooks, SweepState
from hft.search.results.ranking import ranked_in_all_stages, trial_folder
from hft.search.trial import Trial

MODEL_FOLDER = "model"


class KeepModels(SweepHooks):
    """Removes the folder `name` of trials that are not among the best `keep_models` so far, after every trial.

    The last stage's trials come first, then those of the stage before: the winner is one of the last stage. Of
    several metrics the front comes first. What a trial in flight writes is never touched, nor is anything outside of
    the sweep's folder, such as a run that a trial was answered from.

    Args:
        name: of the folder that holds a trial's weights.
        say: told in a line what could not be removed; None: stderr.
    """

    def __init__(self, name: str = MODEL_FOLDER, say: Callable[[str], None] | None = None) -> None:
        self._name = name
        self._say = say or _say_on_stderr
        self._done_with: set[int] = set()

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """Makes up for what a killed session left."""
        self._clean(state)

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """Removes what the trial has beaten, or its own."""
        self._clean(state)

    def on_end(self, state: SweepState) -> None:
        """Removes what is left over."""
        self._clean(state)

    def _clean(self, state: SweepState) -> None:
        kept = {trial_folder(state, trial) for trial in self._kept(state)}
        for trial in state.trials:
            folder = trial_folder(state, trial)
            ended = trial.state != "running" and trial.known_from is None and trial.number not in self._done_with
            if not ended or folder is None or folder in kept:
                continue
            if state.folder in folder.parents and self._remove(folder / self._name):
                self._done_with.add(trial.number)

    def _kept(self, state: SweepState) -> Iterator[Trial]:
        """The best, and as many more as there are places; a trial answered from the record has no weights here."""
        if state.best is not None:
            yield state.best
        run = [trial for trial in ranked_in_all_stages(state) if trial.known_from is None]
        yield from run[: state.settings.keep_models]

    def _remove(self, folder: Path) -> bool:
        """Whether it is gone."""
        try:
            if folder.is_symlink() or folder.is_file():
                folder.unlink()
            elif folder.is_dir():
                shutil.rmtree(folder)
        except OSError as error:
            # Space that is not given back is no reason to lose a sweep.
            self._say(f"{folder} is not removed: {error.strerror or error}")
            return False
        return True


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr)
