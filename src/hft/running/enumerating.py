"""`hft train -m KEY=A,B` without a search: every combination as a complete run, in Hydra's order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hft.errors import ConfigError, TrainingError
from hft.places import absolute_place
from hft.running.search_request import group_keys
from hft.search import Choice, Parameter, RawValue, SearchSettings, SearchSpace, SweepState, Trial
from hft.search.launching.job_outcome import TRACEBACK

if TYPE_CHECKING:
    from hft.search.sweeper.hydra_sweep import HydraSweep


def enumerate_jobs(hydra: HydraSweep, arguments: Sequence[str]) -> SweepState:
    """Runs every combination of the sweep overrides, the last key fastest. One that fails does not stop the others.

    Args:
        hydra: what Hydra handed to its sweeper.
        arguments: overrides of the command line.

    Raises:
        ConfigError: an interval, which has no values to enumerate.
        TrainingError: a job failed; all that did are listed.
    """
    from hft.search.results.result_files import ResultFiles
    from hft.search.results.summary import print_summary

    overrides = hydra.parsed(arguments)
    sweeps = [override for override in overrides if override.is_sweep_override()]
    for override in sweeps:
        if not override.is_discrete_sweep():
            raise ConfigError(
                f"{override.input_line}: an interval cannot be enumerated. Name a search (search=text), or list values."
            )
    space = SearchSpace(
        tuple(
            Parameter(sweep.get_key_element(), Choice(tuple(map(RawValue, sweep.sweep_string_iterator()))))
            for sweep in sweeps
        )
    )
    config = hydra.config
    settings = SearchSettings(
        metric=(f"validation_{config.method.main_metric}",),
        direction=(config.method.direction,),
        n_parallel=config.search.n_parallel,
    )
    fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    groups = group_keys(overrides, hydra.hydra_context.config_loader)
    state = hydra.run_search(
        space,
        settings,
        engine="exhaustive",
        hooks=[
            ResultFiles(groups, fixed, pictures=False, without=("search",)),
        ],
        fixed=fixed,
        is_search=False,
    )
    if len(state.trials) > 1:
        print_summary(state)
    _raise_for_failed_jobs(state)
    return state


def _raise_for_failed_jobs(state: SweepState) -> None:
    failed = [trial for trial in state.trials if trial.state == "failed"]
    if failed:
        jobs = "\n".join(_failed_job(trial, state.folder) for trial in failed)
        raise TrainingError(f"{len(failed)} of {len(state.trials)} jobs failed\n{jobs}")


def _failed_job(trial: Trial, sweep_folder: Path) -> str:
    folder = absolute_place(trial.folder or str(trial.number), sweep_folder)
    where = folder / TRACEBACK if (folder / TRACEBACK).is_file() else folder
    values = " ".join(f"{key}={value}" for key, value in trial.params.items())
    return f"  {values}\n    {trial.reason}\n    {where}"
