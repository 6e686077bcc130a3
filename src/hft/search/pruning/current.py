"""The trial that this code runs in: for jobs that report on their way, in every process of every launcher."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from hft.errors import ConfigError
from hft.search.loop.sweep_folder import HEADER_NAME, read_header
from hft.search.pruning.intermediate import SweepReports, append_report
from hft.search.pruning.pruners import verdict
from hft.search.settings import SearchSettings
from hft.search.trial import TrialPruned

# A trial that a launcher runs in this process (and thread) without Hydra: the sweep's folder and the number.
_without_hydra: ContextVar[tuple[Path, int] | None] = ContextVar("hft_trial", default=None)

# What the last sweep of this process reported, so that hundreds of siblings are not read again at each report.
_cached: dict[Path, SweepReports] = {}
_one_at_a_time = Lock()  # trials may share this process in threads


@dataclass(frozen=True)
class CurrentTrial:
    """A trial, seen from inside.

    Args:
        number: of the trial.
        folder: where it runs.
        sweep_folder: of its sweep.
        is_search: False in an exhaustive enumeration.
        settings: of the search, as they stood when it began.
    """

    number: int
    folder: Path
    sweep_folder: Path
    is_search: bool
    settings: SearchSettings

    def report(self, value: float, step: int | None = None) -> None:
        """Records a value on the way, and ends the trial where the search's pruner finds it hopeless.

        Args:
            value: the search's first metric as it stands; NaN and infinity are recorded as no value.
            step: which report this is; None: 1 for the first, and so on. Trials are compared at equal steps.

        Raises:
            TrialPruned: the trial is hopeless. Let it through.
            StorageError: the report cannot be written.
        """
        with _one_at_a_time:
            reason = self._verdict(float(value), step)
        if reason is not None:
            raise TrialPruned(reason)

    def _verdict(self, value: float, step: int | None) -> str | None:
        reports = _reports_of(self.sweep_folder)
        if step is None:
            step = reports.of(self.number).count + 1
        append_report(self.sweep_folder, self.number, int(step), value)
        if self.settings.pruner is None or not self.is_search or not math.isfinite(value):
            return None
        own, siblings = reports.of(self.number), reports.siblings(self.number)
        return verdict(self.settings.pruner, own, siblings, self.settings.signs[0])


def current_trial() -> CurrentTrial | None:
    """The trial that this code runs in; None outside of a sweep.

    Raises:
        ConfigError: the sweep's header cannot be read.
    """
    place = _without_hydra.get()
    if place is not None:
        return _trial(place[0], place[1], place[0] / str(place[1]))
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN or OmegaConf.is_missing(hydra.job, "num"):
        return None
    sweep_folder = Path(hydra.runtime.cwd) / hydra.sweep.dir
    if not (sweep_folder / HEADER_NAME).exists():
        return None
    return _trial(sweep_folder, int(hydra.job.num), Path(hydra.runtime.output_dir))


def report(value: float, step: int | None = None) -> None:
    """Records a value on the way of the trial that this code runs in; does nothing outside of a sweep.

    Args:
        value: the search's first metric as it stands; NaN and infinity are recorded as no value.
        step: which report this is; None: 1 for the first, and so on. Trials are compared at equal steps.

    Raises:
        TrialPruned: the trial is hopeless. Let it through.
        StorageError: the report cannot be written.
    """
    trial = current_trial()
    if trial is not None:
        trial.report(value, step)


@contextmanager
def trial_without_hydra(sweep_folder: Path, number: int) -> Iterator[None]:
    """Makes a trial the current one in this thread, for launchers that start no Hydra job."""
    token = _without_hydra.set((sweep_folder, number))
    try:
        yield
    finally:
        _without_hydra.reset(token)


def _trial(sweep_folder: Path, number: int, folder: Path) -> CurrentTrial:
    header = read_header(sweep_folder)
    if header is None:
        raise ConfigError(f"{sweep_folder}: {HEADER_NAME} is missing; it was there when the sweep began")
    settings = SearchSettings.model_validate(header["settings"])
    return CurrentTrial(number, folder, sweep_folder, header["kind"] == "search", settings)


def _reports_of(sweep_folder: Path) -> SweepReports:
    if sweep_folder not in _cached:
        _cached.clear()
        _cached[sweep_folder] = SweepReports(sweep_folder)
    return _cached[sweep_folder]
