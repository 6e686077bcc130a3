"""A sweep in a Hydra app: what Hydra hands to its sweeper, and the two ways to use it, a search and an enumeration."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError
from hft.search.hooks import AllHooks, SweepHooks, SweepState
from hft.search.launching.hydra_launcher import InProcessLauncher, LaunchOne, ThreadLauncher
from hft.search.launching.job_outcome import Expected
from hft.search.settings import EngineName, SearchSettings
from hft.search.spaces.overrides import value_text
from hft.search.specs import Params

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from hydra.core.utils import JobReturn
    from hydra.plugins.launcher import Launcher as HydraLauncher
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from hft.search.launching.launcher import Launcher
    from hft.search.launching.worker_process import Work
    from hft.search.spaces.space import SearchSpace

# hft's own app is the one whose main config is this package.
_HFT_CONFIGS = "pkg://hft.conf"

# Trials are numbered folders: a resumed sweep and the trials themselves find each other by number.
_SUBDIR = "${hydra.job.num}"

# Launchers that announce every launch, which would be every trial.
_TALKATIVE = ("hydra._internal.core_plugins", "hydra_plugins")


class HydraSweep:
    """What Hydra hands to a sweeper.

    Args:
        engine: who proposes the parameters of a search.
        hydra_context, task_function, config: as in Hydra's `Sweeper.setup`.
        launcher: that the config names.
    """

    def __init__(
        self, *, engine: EngineName, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Instantiate the launcher, so that one that is misnamed is told at once."""
        from hft.compositions import ReusedCompositions

        self.engine = engine
        loader = ReusedCompositions(hydra_context.config_loader)
        self.hydra_context = replace(hydra_context, config_loader=loader)
        self.task_function = task_function
        self.config = config
        self.launcher = self._hydra_launcher(config)

    @property
    def is_hft(self) -> bool:
        """Whether the app is hft's own."""
        paths = self.hydra_context.config_loader.get_search_path().get_path()
        return any(entry.provider == "main" and entry.path == _HFT_CONFIGS for entry in paths)

    def parsed(self, arguments: Sequence[str]) -> list[Override]:
        """Overrides of the command line; of two with the same key the last one."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        last: dict[str, Override] = {}
        for override in parser.parse_overrides(list(arguments)):
            last.pop(override.get_key_element(), None)
            last[override.get_key_element()] = override
        return list(last.values())

    def run_search(
        self,
        space: SearchSpace,
        settings: SearchSettings,
        *,
        engine: str | None = None,
        hooks: Sequence[SweepHooks] = (),
        fixed: Sequence[str] = (),
        queue: Sequence[Params] = (),
        only_queue: bool = False,
        observations: Sequence[tuple[Params, float]] = (),
        sweep_dir: Path | None = None,
        is_search: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> SweepState:
        """Search, or go on with the search that the folder holds.

        Args:
            space: what is searched.
            settings: of the search.
            engine: `hyperopt`, `optuna` or `exhaustive`; None: that of the sweeper.
            hooks: that take part.
            fixed: overrides of every trial.
            queue: parameters that are evaluated first.
            only_queue: nothing but the queue is evaluated.
            observations: past trials to learn from, (params, gain).
            sweep_dir: of the sweep; None: `hydra.sweep.dir`.
            is_search: False for an enumeration that is kept like a search.
            extra: remembered in the sweep's folder, JSON-able.

        Raises:
            ConfigError: the folder holds another search, or another process runs it.
        """
        from hft.search.loop.sweep import Sweep

        folder = self.sweep_folder(sweep_dir)
        config = self._config_in(folder)
        self._save_config(config, folder)
        launcher = self._launcher(config, settings.n_parallel, folder, Expected(settings.metric, is_search))
        try:
            sweep = Sweep(
                folder,
                space,
                settings,
                engine=engine or self.engine,
                launcher=launcher,
                hooks=AllHooks(*hooks),
                fixed=fixed,
                queue=queue,
                only_queue=only_queue,
                observations=observations,
                is_search=is_search,
                details=extra,
            )
            with _only_warnings_from(_TALKATIVE):
                return sweep.run()
        finally:
            launcher.close()

    def run_exhaustive(
        self, arguments: Sequence[str], *, max_batch_size: int | None = None, n_parallel: int = 1
    ) -> list[Sequence[JobReturn]]:
        """Run every combination of the sweep overrides in Hydra's order, the last key fastest.

        Args:
            arguments: overrides of the command line.
            max_batch_size: jobs handed to the launcher at a time; None: all.
            n_parallel: with Hydra's basic launcher, worker processes at a time.

        Returns:
            batches of what the jobs returned.

        Raises:
            Exception: that of the first job that failed, after its batch has ended.
        """
        combinations = [list(lines) for lines in itertools.product(*map(_lines, self.parsed(arguments)))]
        if max_batch_size is not None and max_batch_size < 1:
            raise ConfigError(f"hydra.sweeper.max_batch_size: found {max_batch_size}; allowed: null or at least 1")
        if not combinations:
            raise ConfigError(f"{' '.join(arguments)}: there is nothing to enumerate: no option of a group fits")
        size = max_batch_size or len(combinations)
        self._save_config(self.config, self.sweep_folder(None))
        returns: list[Sequence[JobReturn]] = []
        with self._batches(n_parallel) as launch:
            for first in range(0, len(combinations), size):
                batch = combinations[first : first + size]
                for overrides in batch:
                    self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
                returns.append(launch(batch, first))
                for job in returns[-1]:
                    _ = job.return_value  # raises the error of a job that failed
        return returns

    def sweep_folder(self, sweep_dir: Path | None = None) -> Path:
        """The folder of the sweep, absolute: jobs may change the current folder."""
        return Path(sweep_dir or str(self.config.hydra.sweep.dir)).absolute()

    def _hydra_launcher(self, config: DictConfig) -> HydraLauncher:
        from hydra.core.plugins import Plugins

        return Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=config
        )

    @property
    def _is_basic(self) -> bool:
        return bool(self.config.hydra.runtime.choices.get("hydra/launcher") == "basic")

    def _config_in(self, folder: Path) -> DictConfig:
        """The sweep's config with its folder settled, for this process and for what jobs compose anew."""
        from omegaconf import open_dict, read_write

        config = copy.deepcopy(self.config)
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(folder)
            config.hydra.sweep.subdir = _SUBDIR
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={value_text(str(folder))}")
            config.hydra.overrides.hydra.append(f"hydra.sweep.subdir={_SUBDIR}")
        return config

    def _launcher(self, config: DictConfig, n_parallel: int, folder: Path, expected: Expected) -> Launcher:
        if self._is_basic and n_parallel > 1:
            from hft.search.launching.workers import WorkerLauncher, WorkerSlots

            return WorkerLauncher(WorkerSlots(self._work(config, expected), n_parallel, folder))
        if self._is_basic:
            return InProcessLauncher(_launch_one(self._hydra_launcher(config)), expected)
        if n_parallel > 1 and "n_jobs" in config.hydra.launcher:
            # Of joblib: with one job it would run in the thread that launches, beside the others.
            config.hydra.launcher.n_jobs = n_parallel
        launches = [_launch_one(self._hydra_launcher(config)) for _ in range(n_parallel)]
        return ThreadLauncher(launches, expected)

    def _work(self, config: DictConfig, expected: Expected | None) -> Work:
        from hydra.core.singleton import Singleton

        from hft.search.launching.worker_process import Work

        return Work(self.hydra_context, self.task_function, config, Singleton.get_state(), expected)

    @contextmanager
    def _batches(self, n_parallel: int) -> Iterator[Any]:
        """How a batch of jobs is launched: (overrides of each, number of the first) to the jobs' returns."""
        if not (self._is_basic and n_parallel > 1):
            yield lambda batch, first: self.launcher.launch(batch, initial_job_idx=first)
            return
        from hft.search.launching.workers import WorkerSlots, launch_in_workers

        slots = WorkerSlots(self._work(self.config, None), n_parallel, self.sweep_folder())
        try:
            yield lambda batch, first: launch_in_workers(slots, batch, first)
        finally:
            slots.close()

    def _save_config(self, config: DictConfig, folder: Path) -> None:
        """`multirun.yaml`, as Hydra's basic sweeper has it; that of the first session stays."""
        from omegaconf import OmegaConf

        from hft.files import atomic_write

        path = folder / "multirun.yaml"
        if not path.exists():
            with atomic_write(path) as file:
                file.write(OmegaConf.to_yaml(config))


def _launch_one(launcher: HydraLauncher) -> LaunchOne:
    return lambda overrides, number: launcher.launch([overrides], initial_job_idx=number)[0]


def _lines(override: Override) -> list[str]:
    """The values of an override, a line each: all of a sweep, the one of a plain override."""
    from hydra.errors import HydraException

    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise HydraException(f"{override.input_line}: an interval cannot be enumerated; a budget makes it a search")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


@contextmanager
def _only_warnings_from(names: Sequence[str]) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
