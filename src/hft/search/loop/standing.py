"""Which trials are the best so far: one, or with several metrics those that no other beats in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hft.search.trial import Trial


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better; lower is better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


@dataclass
class Standing:
    """The front of each stage, kept up trial by trial.

    Args:
        signs: of each metric; what lowers sign * value is better.
    """

    signs: tuple[float, ...]
    _fronts: dict[int, list[Trial]] = field(default_factory=dict, init=False)

    def add(self, trial: Trial) -> None:
        """Takes a trial that has ended into account."""
        if trial.state != "done" or not trial.values:
            return
        losses = self._losses(trial)
        front = self._fronts.setdefault(trial.stage, [])
        if any(dominates(self._losses(other), losses) for other in front):
            return
        kept = [other for other in front if not dominates(losses, self._losses(other))]
        self._fronts[trial.stage] = sorted([*kept, trial], key=lambda other: other.number)

    def best(self, stage: int) -> Trial | None:
        """The best trial of a stage, of equal ones the first; of several metrics the first of the front."""
        front = self._fronts.get(stage)
        return front[0] if front else None

    def front(self, stage: int) -> tuple[Trial, ...]:
        """Trials of a stage that no other beats in every metric; with one metric the best alone."""
        front = self._fronts.get(stage, [])
        return tuple(front[:1] if len(self.signs) == 1 else front)

    @property
    def stage(self) -> int | None:
        """The last stage that has a trial with a value."""
        return max(self._fronts, default=None)

    def _losses(self, trial: Trial) -> tuple[float, ...]:
        return tuple(sign * value for sign, value in zip(self.signs, trial.values, strict=True))
