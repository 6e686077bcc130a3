"""Proposals that were not made before: an algorithm that repeats itself is asked again, and led to what is left."""

from __future__ import annotations

from collections.abc import Callable

from hft.search.spaces.identity import canonical
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params

# Asked again this often with another seed before a point is drawn from those that are left.
ATTEMPTS = 5
# Points of a finite space that are enumerated to find those left.
ENUMERABLE = 20_000


def seed_of(seed: int, number: int, attempt: int = 0) -> int:
    """A 32-bit seed of one proposal, independent of all others.

    Args:
        seed: of the search.
        number: of the trial.
        attempt: of the proposal, from 0.
    """
    import numpy as np

    return int(np.random.SeedSequence([seed, number, attempt]).generate_state(1)[0])


class NewProposals:
    """Remembers the points of a search, and finds one that is not among them.

    A trained point tells nothing new when it is asked for again; in a space of few points an algorithm that is sure
    of itself would ask for nothing else.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._seen: set[str] = set()
        self._left: dict[str, Params] | None = None

    def note(self, params: Params) -> None:
        """A point was asked for."""
        identity = canonical(params)
        self._seen.add(identity)
        if self._left is not None:
            self._left.pop(identity, None)

    def propose(self, number: int, suggest: Callable[[int], Params]) -> Params:
        """The first of some suggestions that is new; else a point drawn from those left; else the last suggestion.

        Args:
            number: of the trial.
            suggest: suggests for a seed.
        """
        params: Params = {}
        for attempt in range(ATTEMPTS):
            params = suggest(seed_of(self._seed, number, attempt))
            if canonical(params) not in self._seen:
                return params
        return self._drawn_from_left(number) or params

    def _drawn_from_left(self, number: int) -> Params | None:
        import numpy as np

        if self._left is None:
            size = self._space.size
            countable = size is not None and size <= ENUMERABLE
            points = ((canonical(point), point) for point in self._space.points()) if countable else ()
            self._left = {identity: point for identity, point in points if identity not in self._seen}
        if not self._left:
            return None
        position = np.random.default_rng(seed_of(self._seed, number, ATTEMPTS)).integers(len(self._left))
        return dict(list(self._left.values())[int(position)])
