"""Which parameters tell the trials of a sweep apart: the others are the same in every row."""

from __future__ import annotations

from hft.search.hooks import SweepState
from hft.search.spaces.identity import canonical_value


class DifferingParameters:
    """Looks at each trial once, however often it is asked: a table that stands still asks twice a second."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._differing: set[str] = set()
        self._seen = 0

    def of(self, state: SweepState) -> list[str]:
        """Keys in which the trials of a sweep differ, in the space's order, then others.

        A parameter that some trials do without differs. One trial differs from none: all its keys are given.

        Args:
            state: of the same sweep every time.
        """
        for trial in state.trials[self._seen :]:
            for key, value in trial.params.items():
                identity = canonical_value(value)
                if key not in self._first and self._seen:
                    self._differing.add(key)  # those before do without it
                if self._first.setdefault(key, identity) != identity:
                    self._differing.add(key)
            self._differing.update(self._first.keys() - trial.params.keys())
            self._seen += 1
        order = dict.fromkeys([*state.space.keys(), *self._first])
        return [key for key in order if key in (self._differing if self._seen > 1 else self._first)]
