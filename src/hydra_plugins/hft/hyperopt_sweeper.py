"""`hydra/sweeper=hft_hyperopt`: the search engine Hyperopt, in any Hydra app."""

from __future__ import annotations

from typing import Literal

from hydra.core.config_store import ConfigStore

from hydra_plugins.hft._engine_sweeper import EngineSweeper
from hydra_plugins.hft._sweeper_options import HyperoptOptions

ConfigStore.instance().store(group="hydra/sweeper", name="hft_hyperopt", node=HyperoptOptions, provider="hft")


class HftHyperoptSweeper(EngineSweeper):
    """Searches with Hyperopt, or enumerates as Hydra's basic sweeper does."""

    @property
    def engine(self) -> Literal["hyperopt"]:
        """Hyperopt."""
        return "hyperopt"
