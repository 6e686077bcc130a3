"""`hydra/sweeper=hft_optuna`: the search engine Optuna, in any Hydra app."""

from __future__ import annotations

from typing import Literal

from hydra.core.config_store import ConfigStore

from hydra_plugins.hft._engine_sweeper import EngineSweeper
from hydra_plugins.hft._sweeper_options import OptunaOptions

ConfigStore.instance().store(group="hydra/sweeper", name="hft_optuna", node=OptunaOptions, provider="hft")


class HftOptunaSweeper(EngineSweeper):
    """Searches with Optuna, or enumerates as Hydra's basic sweeper does."""

    @property
    def engine(self) -> Literal["optuna"]:
        """Optuna."""
        return "optuna"
