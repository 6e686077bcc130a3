"""Every point of a finite space, once: in order, or as a grid in seeded order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from hft.errors import ConfigError
from hft.search.engines.options import checked_options, signs_of
from hft.search.settings import SearchSettings
from hft.search.spaces.enumeration import size_of
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Outcome

# Points of a larger grid are shuffled in blocks of this many: all of them need not fit into memory.
SHUFFLED_AT_ONCE = 100_000


class ExhaustiveEngine:
    """All points in the order of the space, the last parameter fastest. Outcomes change nothing."""

    def __init__(self, space: SearchSpace, shuffle_seed: int | None = None) -> None:
        """Take a space whose points can be counted.

        Args:
            space: enumerated.
            shuffle_seed: None: in order.

        Raises:
            ConfigError: the space is infinite; names its continuous parameters.
        """
        if space.size is None:
            continuous = [parameter.key for parameter in space.parameters if size_of(parameter.spec) is None]
            raise ConfigError(
                f"search.space: every point is asked for, but {', '.join(continuous)} can take any real number; "
                "give a list or a step, or search with search.algorithm=tpe"
            )
        points = space.points()
        self._points = points if shuffle_seed is None else _shuffled(points, shuffle_seed)

    def ask(self, number: int, params: Params | None = None) -> Params | None:
        """The next point, or `params` as they are; None after the last."""
        return dict(params) if params is not None else next(self._points, None)

    def tell(self, number: int, outcome: Outcome) -> None:
        """Nothing is learnt."""

    def observe(self, observations: Sequence[tuple[Params, float]]) -> None:
        """Not possible.

        Raises:
            ConfigError: if there are any.
        """
        if observations:
            raise ConfigError(
                "search.algorithm: an enumeration cannot learn from past trials (search.reuse=warm_start); "
                "use tpe, or search.reuse=none"
            )


def grid_engine(space: SearchSpace, settings: SearchSettings) -> ExhaustiveEngine:
    """Optuna's grid, which knows no conditions, done by enumeration: every point once, in an order drawn by the seed.

    Raises:
        ConfigError: the space is infinite, or an option is given.
    """
    checked_options("optuna", settings)
    signs_of("optuna", "grid", settings)
    return ExhaustiveEngine(space, settings.seed)


def _shuffled(points: Iterator[Params], seed: int) -> Iterator[Params]:
    import numpy as np

    random = np.random.default_rng(seed)
    while block := list(itertools.islice(points, SHUFFLED_AT_ONCE)):
        yield from (block[int(position)] for position in random.permutation(len(block)))
