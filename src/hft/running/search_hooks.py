"""What hft adds to a search while it goes on: tracking, a summary for programs, answers from earlier runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hft.experiments.known_runs import KnownRuns
from hft.experiments.sweep_run import SweepRun
from hft.running.search_start import fingerprint
from hft.running.sweep_place import SUMMARY_NAME, write_summary
from hft.search import Known, Params, SweepHooks, SweepState, Trial
from hft.search.results.summary import summary_dict


class TrackedSweep(SweepHooks):
    """Follows the sweep in the tracking store, as the parent of its trials' runs.

    Args:
        run: of the store.
        facts: what is searched and how, for the store.
    """

    def __init__(self, run: SweepRun, facts: Mapping[str, Any]) -> None:
        self._run, self._facts = run, facts

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """Makes the run, or finds it."""
        self._run.start(self._facts)

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """Tells the best so far."""
        best = {} if state.best is None else dict(zip(state.settings.metric, state.best.values, strict=True))
        counts = Counter(str(one.state) for one in state.trials)
        self._run.trial_ended(trial.number, trial.state, best, dict(counts))


class SummaryFile(SweepHooks):
    """Keeps `summary.json` in the sweep's folder, for programs and for the next start of the same command.

    Attributes:
        ended_before: trials that had ended when this session began.
    """

    def __init__(self) -> None:
        self.ended_before = 0

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """The sweep goes on: what ended it last time holds no more."""
        self.ended_before = sum(trial.state != "running" for trial in state.trials)
        (state.folder / SUMMARY_NAME).unlink(missing_ok=True)

    def on_end(self, state: SweepState) -> None:
        """Writes it.

        Raises:
            StorageError: it cannot be written.
        """
        write_summary(state.folder, summary_dict(state))


class RecordedAnswers(SweepHooks):
    """Answers parameters that an earlier run of the same iteration was trained with, at no cost.

    Args:
        runs: of the iteration.
        compose: gives a trial's config from its overrides.
        parent: id of the run whose model every trial starts from; None: the initial model.
        metrics: of the search.
        sweep_folder: whose own trials the loop answers itself.
    """

    def __init__(
        self,
        runs: KnownRuns,
        compose: Callable[[Sequence[str]], DictConfig],
        *,
        parent: str | None,
        metrics: Sequence[str],
        sweep_folder: Path,
    ) -> None:
        self._runs, self._compose, self._parent, self._metrics = runs, compose, parent, metrics
        self._sweep_folder = sweep_folder

    def known(self, params: Params, overrides: Sequence[str]) -> Known | None:
        """A result of an earlier run, or None."""
        if not len(self._runs):
            return None
        config = self._compose(overrides)
        plain: Any = OmegaConf.to_container(config, resolve=True)
        found = self._runs.find(
            plain, metrics=self._metrics, parent=self._parent, data_hash=lambda: fingerprint(config, self._sweep_folder)
        )
        if found is None or self._sweep_folder in found.folder.absolute().parents:
            return None
        return Known(found.values, f"run {found.run_id[:8]}", str(found.folder.absolute()))
