"""What `hydra.sweeper.*` takes with `hydra/sweeper=hft_hyperopt` and `hft_optuna`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class SweeperOptions:
    """Options that both sweepers take; hft's own app has them in its `search` group instead.

    Mappings are Any: of a typed one, Hydra would have every new key be appended with `+`.

    Args:
        space: what to search, by config key: `x: {low: 0, high: 1}`, `db: [mysql, pg]`. Sweep overrides add
            to it, or take the place of its entries.
        params: sweep overrides in Hydra's grammar, by config key, as Hydra's basic sweeper takes them.
        max_batch_size: jobs handed to the launcher at a time where the sweep is an enumeration.
        pictures: whether the search is drawn, in its folder.
        pruner: median, asha, hyperband, or with options `{kind: asha, min_reports: 2}`.
        metric, direction, max_evals, timeout, max_failures, n_parallel, seed, keep_models, algorithm,
            algorithm_options, stages: of the search, as in `hft.search.SearchSettings`.
    """

    _target_: str
    space: Any = None
    params: Any = None
    max_batch_size: int | None = None
    pictures: bool = True
    metric: Any = "value"
    direction: Any = "minimize"
    max_evals: int | None = None
    timeout: float | None = None
    max_failures: int | None = None
    n_parallel: int = 1
    seed: int = 0
    keep_models: int = 1
    algorithm: str | None = None
    algorithm_options: Any = None
    pruner: Any = None
    stages: Any = None


@dataclass
class HyperoptOptions(SweeperOptions):
    """Of `hydra/sweeper=hft_hyperopt`."""

    _target_: str = "hydra_plugins.hft.hyperopt_sweeper.HftHyperoptSweeper"


@dataclass
class OptunaOptions(SweeperOptions):
    """Of `hydra/sweeper=hft_optuna`."""

    _target_: str = "hydra_plugins.hft.optuna_sweeper.HftOptunaSweeper"
