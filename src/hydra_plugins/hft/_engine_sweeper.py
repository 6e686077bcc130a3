"""What both sweepers are: they hold what Hydra hands over, and leave the work to `hft.search`.

Hydra's plugin scan leaves modules with an underscore alone, so that this base is no plugin of its own. The others it
executes anew whenever it scans, which is why those name their options in the ConfigStore: that one may be new as well.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from hft.search.sweeper.hydra_sweep import HydraSweep


class EngineSweeper(Sweeper):
    """A sweeper with a search engine."""

    def __init__(self, **options: Any) -> None:
        """Take the options of `hydra.sweeper`; they are read from the config when the sweep starts."""
        self.options = options
        self.hydra_sweep: HydraSweep | None = None

    @property
    @abstractmethod
    def engine(self) -> Literal["hyperopt", "optuna"]:
        """Who proposes the parameters."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the jobs need, and instantiate the launcher that the config names."""
        from hft.search.sweeper.hydra_sweep import HydraSweep

        self.hydra_sweep = HydraSweep(
            engine=self.engine, hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs that the arguments of the command line mean.

        Returns:
            of an enumeration Hydra's list of batches of JobReturn; of a search the state in which it ended.
        """
        assert self.hydra_sweep is not None, "Hydra calls setup() before sweep()"
        if self.hydra_sweep.is_hft:
            from hft.running.searching import hft_sweep

            return hft_sweep(self.hydra_sweep, arguments)
        from hft.search.sweeper.hydra_app import sweep_app

        return sweep_app(self.hydra_sweep, arguments)
