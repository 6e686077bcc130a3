"""The jobs of one `hft train`: one run, or each run of a sweep; what failed, and how to say so."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hft.cli.failures import exit_status, user_error
from hft.errors import HftError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.search import CurrentTrial


@dataclass
class Jobs:
    """Runs Hydra's jobs and remembers how they went.

    Args:
        folder: folder of the run that is going on, or was the last.
        is_sweep: whether there may be more than one.
        started: how many have been started.
        failures: name, folder and error of each that failed.
    """

    folder: str | None = None
    is_sweep: bool = False
    started: int = 0
    failures: list[tuple[str, str, Exception]] = field(default_factory=list)

    def train(self, config: DictConfig) -> Any:
        """Hydra's task: one training. A trial returns its values by metric, and what its sweep should remember."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from hft.search import current_trial

        job = HydraConfig.get()
        self.folder = str(job.runtime.output_dir)
        self.is_sweep = job.mode == RunMode.MULTIRUN
        current = current_trial()
        if current is not None:
            return _train_as_trial(config, self.folder, current)
        self.started += 1
        try:
            from hft.train import train

            return train(config, folder=self.folder)
        except KeyboardInterrupt:
            from hft.experiments import discard_unbegun

            discard_unbegun(self.folder)
            raise
        except Exception as error:
            name = " ".join(job.overrides.task) or "(no overrides)"
            self.failures.append((name, self.folder, error))
            if isinstance(error, HftError):
                from hft.experiments import discard_unbegun

                discard_unbegun(self.folder)
            if not _is_in_this_process(job):
                raise
            # Remembered, and told by `run`: what comes through Hydra gets a line of Hydra's before it.
            return None

    def run(self, hydra_main: Callable[[], None]) -> int:
        """Run them all; the exit status. Hydra's basic launcher runs every job of a sweep, whichever fails."""
        try:
            hydra_main()
        except Exception as error:
            if not (self.is_sweep and any(failed is error for _, _, failed in self.failures)):
                return exit_status(error)
        if self.failures and not self.is_sweep:
            return exit_status(self.failures[0][2])
        return self._sum_up() if self.failures else 0

    def _sum_up(self) -> int:
        for _, _, error in self.failures:
            if user_error(error) is None:
                traceback.print_exception(error)
        print(f"hft: {len(self.failures)} of {self.started} jobs failed", file=sys.stderr)
        for name, folder, error in self.failures:
            told = user_error(error) or f"{type(error).__name__}: {error} (traceback above)"
            print(f"  {name}\n    {told}\n    {folder}", file=sys.stderr)
        return 1


def _train_as_trial(config: DictConfig, folder: str, current: CurrentTrial) -> dict[str, Any]:
    from hft.running import Trial, train_trial, trial_values

    trial = Trial.of(current, config.outputs)
    if current.is_search:
        result = train_trial(config, trial, folder=folder)
        return {**dict(zip(current.settings.metric, result.values, strict=True)), **result.details}
    from hft.train import train

    report = train(config, folder=folder, trial=trial)
    return dict(zip(current.settings.metric, trial_values(report, current.settings.metric), strict=True))


def _is_in_this_process(job: Any) -> bool:
    """Whether `Jobs` sees how the job ended: another launcher may use processes, another sweeper the value."""
    from hydra.types import RunMode

    plugins = (job.runtime.choices.get("hydra/launcher"), job.runtime.choices.get("hydra/sweeper"))
    return job.mode != RunMode.MULTIRUN or plugins == ("basic", "basic")
