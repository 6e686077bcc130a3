"""The algorithms behind the ask/tell seam: Hyperopt's, Optuna's, and enumeration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hft.search.engines.engine import Engine
    from hft.search.settings import SearchSettings
    from hft.search.spaces.space import SearchSpace

__all__ = ["make_engine"]


def make_engine(name: str, space: SearchSpace, settings: SearchSettings) -> Engine:
    """An engine over a space.

    Args:
        name: `hyperopt`, `optuna` or `exhaustive`. Only the named one is imported.
        space: what it proposes from.
        settings: algorithm and its options, seed, metrics, directions, trials at a time.

    Raises:
        ConfigError: search.algorithm, search.algorithm_options or search.metric is not for this engine or this space;
            a search of a space without parameters (an enumeration has one point there).
    """
    if name == "exhaustive":
        from hft.search.engines.exhaustive_engine import ExhaustiveEngine

        return ExhaustiveEngine(space)
    if not space.parameters:
        from hft.errors import ConfigError

        raise ConfigError(
            "search.space: nothing is left to search, every parameter is fixed; leave one to the search, "
            "or run without -m for a single run"
        )
    if name == "hyperopt":
        from hft.search.engines.hyperopt_engine import HyperoptEngine

        return HyperoptEngine(space, settings)
    if name == "optuna":
        if settings.algorithm == "grid":
            from hft.search.engines.exhaustive_engine import grid_engine

            return grid_engine(space, settings)
        from hft.search.engines.optuna_engine import OptunaEngine

        return OptunaEngine(space, settings)
    raise ValueError(f"no engine {name!r}: hyperopt, optuna or exhaustive")
