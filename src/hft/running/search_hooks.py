"""What hft adds to a search while it goes on: tracking, answers from earlier runs, and that the data stays the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hft.errors import DataError
from hft.experiments.known_runs import KnownRuns
from hft.experiments.sweep_run import SweepRun
from hft.running.start import Start
from hft.running.surroundings import Surroundings
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
    """Keeps `summary.json` in the sweep's folder, for programs and for the next start of the same command."""

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """The sweep goes on: what ended it last time holds no more."""
        (state.folder / SUMMARY_NAME).unlink(missing_ok=True)

    def on_end(self, state: SweepState) -> None:
        """Writes it.

        Raises:
            StorageError: it cannot be written.
        """
        write_summary(state.folder, summary_dict(state))


class SameData(SweepHooks):
    """Refuses to go on when the data are no longer those of the first trial: values of the two do not compare."""

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """Compares the trial's data with those of the others.

        Raises:
            DataError: they differ.
        """
        found = trial.details.get("data")
        first = next((one for one in state.trials if one.details.get("data")), None)
        if found and first is not None and first.details["data"] != found:
            raise DataError(
                f"{state.folder}: the data have changed since trial {first.number}. Trial {trial.number} was trained "
                "on others, and the two do not compare. Put the data back, or begin another search: "
                "hydra.sweep.dir=ANOTHER_FOLDER."
            )


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
            plain, metrics=self._metrics, parent=self._parent, data_hash=lambda: self._data_hash(config)
        )
        if found is None or self._sweep_folder in found.folder.absolute().parents:
            return None
        return Known(found.values, f"run {found.run_id[:8]}", str(found.folder.absolute()))

    def _data_hash(self, config: DictConfig) -> str:
        """The fingerprint of the data as they are now, not as a record says; the trials share what is read here."""
        start = Start(config, Surroundings.of(config), shares=True)
        return start.data(instantiate(config.method), self._sweep_folder / "quarantine.jsonl").fingerprint()
