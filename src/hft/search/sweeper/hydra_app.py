"""Sweeps of Hydra apps other than hft's own: what `hydra.sweeper.*` and the command line ask for, and its end."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError, HftError
from hft.search.hooks import SweepHooks, SweepState
from hft.search.pruning.intermediate import intermediate_path
from hft.search.results.progress_log import ProgressLog
from hft.search.results.ranking import trial_folder
from hft.search.results.result_files import ResultFiles, winner_command
from hft.search.settings import SearchSettings
from hft.search.spaces.conditions import bare_key
from hft.search.spaces.overrides import parameter_of
from hft.search.spaces.space import SearchSpace
from hft.search.sweeper.app_commands import resume_command, winner_template
from hft.search.sweeper.key_check import check_keys, real_for_whole
from hft.search.sweeper.sweeper_settings import search_settings
from hft.search.trial import Trial

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

    from hft.search.sweeper.hydra_sweep import HydraSweep

log = logging.getLogger(__name__)

STOPPED_BY_THE_USER = 130

# Where hft's own app has the settings of a search.
_OF_HFTS_APP = re.compile(rf"(?<![\w.])search\.(?=(?:space|{'|'.join(SearchSettings.model_fields)})\b)")

_NOT_SETTINGS = ("_target_", "space", "params", "max_batch_size", "pictures")


class SearchFailedError(HftError):
    """A search came to its end without a result, or was given up.

    Args:
        what: in words.
        last: trial that failed last.
        state: of the search.
    """

    def __init__(self, what: str, last: Trial, state: SweepState) -> None:
        """Say where the last failure is to be seen."""
        folder = trial_folder(state, last)
        where = f" Its folder: {folder}" if folder else ""
        super().__init__(f"{what}. The last failure, trial {last.number}: {last.reason}.{where}")


@dataclass(frozen=True)
class AppSearch:
    """A search, as another app's config and command line ask for it.

    Args:
        space: without keys that are fixed.
        settings: of the search.
        fixed: overrides of every trial.
        pictures: whether the search is drawn.
    """

    space: SearchSpace
    settings: SearchSettings
    fixed: tuple[str, ...]
    pictures: bool = True


def sweep_app(sweep: HydraSweep, arguments: Sequence[str]) -> Any:
    """Search where something continuous is swept, or there is a space or a budget; else enumerate.

    Args:
        sweep: what Hydra handed over.
        arguments: overrides of the command line.

    Returns:
        of an enumeration batches of JobReturn, of a search the state in which it ended.

    Raises:
        CompactHydraException: the request is wrong, or the search has no result. Hydra shows it without a traceback.
        SystemExit: the user stopped the search.
    """
    from hydra.errors import CompactHydraException
    from omegaconf import OmegaConf

    options: Any = OmegaConf.to_container(sweep.config.hydra.sweeper, resolve=True)
    arguments = [*(f"{key}={value}" for key, value in (options["params"] or {}).items()), *arguments]
    try:
        if not _is_search(sweep, options, arguments):
            return sweep.run_exhaustive(
                arguments, max_batch_size=options["max_batch_size"], n_parallel=options["n_parallel"]
            )
        return _searched(sweep, app_search(sweep, options, arguments))
    except HftError as error:
        raise CompactHydraException(_OF_HFTS_APP.sub("hydra.sweeper.", str(error))) from error


def app_search(sweep: HydraSweep, options: dict[str, Any], arguments: Sequence[str]) -> AppSearch:
    """Read a search.

    Args:
        sweep: what Hydra handed over.
        options: of `hydra.sweeper`, plain.
        arguments: overrides, those of `hydra.sweeper.params` first.

    Raises:
        ConfigError: the space is empty, infinite without a budget, or not right, or a setting is not.
    """
    overrides = sweep.parsed(arguments)
    _refuse_seeds(overrides)
    settings = search_settings({key: value for key, value in options.items() if key not in _NOT_SETTINGS}, sweep.engine)
    _refuse_seeds_in(options["space"] or {})
    space = SearchSpace.parse(options["space"] or {}, where="hydra.sweeper.space")
    space = space.with_parameters(parameter_of(override) for override in overrides if override.is_sweep_override())
    plain = [override for override in overrides if not override.is_sweep_override()]
    space = space.with_fixed({override.get_key_element(): override.value() for override in plain})
    if not len(space):
        raise ConfigError(
            "hydra.sweeper.space: there is nothing to search; expected: parameters there, or sweep overrides on the "
            "command line, as in 'lr=interval(0.1,1)' or db=mysql,pg"
        )
    budget = (settings.max_evals, settings.timeout, settings.stages or None)
    if space.size is None and all(part is None for part in budget):
        raise ConfigError(
            "hydra.sweeper.max_evals: missing; a continuous search has no end of its own. Set it, or "
            "hydra.sweeper.timeout (seconds)."
        )
    fixed = tuple(str(override.input_line) for override in plain)
    check_keys(sweep.hydra_context.config_loader, sweep.config, space, fixed)
    for line in real_for_whole(sweep.config, space):
        log.info(line)
    return AppSearch(space, settings, fixed, options["pictures"])


def _refuse_seeds(overrides: Sequence[Override]) -> None:
    for override in overrides:
        if override.is_sweep_override() and bare_key(override.get_key_element()) == "seed":
            raise ConfigError(
                f"{override.input_line}: a seed is never optimised: the best one would be luck; give one value, or "
                "enumerate: without a space, an interval and a budget"
            )


def _refuse_seeds_in(space: Mapping[Any, Any]) -> None:
    for key, node in space.items():
        if bare_key(str(key)) == "seed" and isinstance(node, list | dict):
            raise ConfigError(
                f"hydra.sweeper.space.{key}: a seed is never optimised: the best one would be luck; leave it out, and "
                "average over seeds inside of the job"
            )


def _is_search(sweep: HydraSweep, options: dict[str, Any], arguments: Sequence[str]) -> bool:
    if any(options[key] for key in ("space", "max_evals", "timeout", "stages")):
        return True
    return any(o.is_sweep_override() and not o.is_discrete_sweep() for o in sweep.parsed(arguments))


def _searched(sweep: HydraSweep, search: AppSearch) -> SweepState:
    from hft.search.results.summary import print_summary

    folder = sweep.sweep_folder()
    try:
        state = sweep.run_search(
            search.space, search.settings, fixed=search.fixed, hooks=_hooks(sweep, search), sweep_dir=folder
        )
    except KeyboardInterrupt:
        print(f"Stopped. To go on: {resume_command(folder, None)}")
        raise SystemExit(STOPPED_BY_THE_USER) from None
    winner = winner_command(folder, _winner_template(sweep))
    # The budgets of stages are what the sweep is.
    is_over = state.ended == "budget" and search.settings.stages
    again = None if is_over else resume_command(folder, state.ended)
    print_summary(state, winner_command=winner, winner_label="Run the winner", resume_command=again)
    reports = (intermediate_path(folder, trial.number) for trial in state.trials)
    if search.settings.pruner is not None and not any(path.exists() for path in reports):
        log.warning("hydra.sweeper.pruner: nothing to judge; a job reports on its way with hft.search.report(value)")
    failed = [trial for trial in state.trials if trial.state == "failed"]
    if state.ended == "failures":
        most = state.settings.max_failures
        raise SearchFailedError(
            f"{len(failed)} trials failed, and hydra.sweeper.max_failures={most}",
            failed[-1],
            state,
        )
    if failed and state.best is None:
        raise SearchFailedError(f"none of {len(state.trials)} trials gave a value", failed[-1], state)
    return state


def _hooks(sweep: HydraSweep, search: AppSearch) -> list[SweepHooks]:
    loader = sweep.hydra_context.config_loader
    keys = {line.partition("=")[0] for line in search.fixed} | set(search.space.keys())
    groups = [key for key in keys if loader.get_group_options(key.lstrip("+~").partition("@")[0])]
    files = ResultFiles(
        groups,
        search.fixed,
        name=f"hft_{sweep.engine}",
        command=_winner_template(sweep),
        pictures=search.pictures,
        say=log.info,
    )
    return [files, _progress(search.settings.n_parallel)]


def _winner_template(sweep: HydraSweep) -> str:
    return winner_template(sweep.config.hydra.searchpath)


def _progress(n_parallel: int) -> SweepHooks:
    """A table where somebody watches and the jobs write elsewhere; else lines for Hydra's log."""
    if n_parallel > 1 and sys.stderr.isatty() and log.isEnabledFor(logging.INFO):
        from hft.search.results.live_table import LiveTable

        return LiveTable()
    return ProgressLog(log.info)
