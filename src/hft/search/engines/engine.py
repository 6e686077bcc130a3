"""The one seam between the algorithm and the work: ask for parameters, tell what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Outcome


class Engine(Protocol):
    """Proposes parameters. Deterministic: the same seed and the same calls in the same order give the same answers.

    That is what makes a sweep resumable: on resume the loop repeats the calls of its journal.
    """

    def ask(self, number: int, params: Params | None = None) -> Params | None:
        """The parameters of trial `number`.

        Args:
            number: of the trial, from 0.
            params: to be taken as they are, instead of proposing (replayed or warm-started parameters).

        Returns:
            active parameters only; None: nothing is left to propose (a grid that is done).
        """

    def tell(self, number: int, outcome: Outcome) -> None:
        """What came of the trial. A failed one has no value; a pruned one counts as pruned, never as a value."""

    def observe(self, observations: Sequence[tuple[Params, float]]) -> None:
        """Past trials to learn from, of another start or batch: (params, gain), a higher gain is better.

        From then on the engine compares ranks within each origin, since raw values of the two do not compare.
        Called at most once, before the first `ask`.

        Raises:
            ConfigError: the algorithm cannot learn from them (search.algorithm).
        """


MakeEngine = Callable[[SearchSpace, SearchSettings], Engine]
