"""People who click by a known model: what click models and debiasing are tested with.

Each draws clicks on shown lists whose relevance is known. An examined result attracts with a probability that grows
with its relevance and is not 0 for what is not relevant (false clicks).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class SimulatedClicks(ABC):
    """A click model with given parameters.

    Args:
        click_probability: of an examined result of the highest grade.
        false_click_probability: of an examined result that is not relevant.
    """

    def __init__(
        self,
        click_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9,
        false_click_probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.02,
    ) -> None:
        self.click_probability = click_probability
        self.false_click_probability = false_click_probability

    def attraction(self, grades: NDArray[np.float32], highest: float) -> NDArray[np.float64]:
        """Probability of a click on an examined result, by its grade: (2^grade - 1) / (2^highest - 1) of
        the way from the false clicks to the click probability (the gain of Chapelle et al. 2009, expected
        reciprocal rank).
        """
        low, high = self.false_click_probability, self.click_probability
        return np.asarray(low + (high - low) * gains(grades, highest), dtype=np.float64)

    @abstractmethod
    def draw(self, grades: NDArray[np.float32], highest: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Clicks on lists, `bool[sessions, positions]`.

        Args:
            grades: `float32[sessions, positions]`, relevance from the top of each list; what stands past a list's end
                draws clicks as if it were there, and changes nothing above.
            highest: grade that counts as fully relevant.
            rng: of the draws.
        """

    @abstractmethod
    def describe(self) -> str:
        """The model and its parameters, a few words."""

    def identity(self) -> dict[str, Any]:
        """Plain values that decide the draws.

        Raises:
            DataError: the model is not hft's own; nobody knows what its code does.
        """
        if not type(self).__module__.startswith("hft.data."):
            raise DataError(f"data.source.clicks: {type(self).__name__} is not hft's own, nothing of it is kept.")
        return {"model": type(self).__name__, **vars(self)}


def gains(grades: NDArray[np.float32], highest: float) -> NDArray[np.float64]:
    """(2^grade - 1) / (2^highest - 1), within 0..1."""
    gain = np.expm1(grades.astype(np.float64) * np.log(2)) / np.expm1(max(highest, 1e-9) * np.log(2))
    return np.asarray(np.clip(gain, 0.0, 1.0), dtype=np.float64)


class PositionBasedClicks(SimulatedClicks):
    """Position p is examined with probability 1/p^eta, whatever stands there and is clicked elsewhere.

    Args:
        eta: how fast attention falls with the position; 0 examines everything.
        click_probability: of an examined result of the highest grade.
        false_click_probability: of an examined result that is not relevant.
        trust: added to the probability of a false click at the top, falling as 1/p: people trust what stands high.
    """

    def __init__(
        self,
        eta: Annotated[float, Field(ge=0.0, le=5.0)] = 0.5,
        click_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9,
        false_click_probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.02,
        trust: Probability = 0.0,
    ) -> None:
        super().__init__(click_probability, false_click_probability)
        self.eta = eta
        self.trust = trust

    def examination(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability that a position (from 1) is examined: 1/position^eta."""
        return np.asarray(positions.astype(np.float64) ** -self.eta, dtype=np.float64)

    def draw(self, grades: NDArray[np.float32], highest: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """See SimulatedClicks."""
        positions = np.arange(1, grades.shape[1] + 1)
        attraction = self.attraction(grades, highest)
        if self.trust:
            attraction = attraction + self.trust / positions * (1.0 - gains(grades, highest))
        return np.asarray(rng.random(grades.shape) < self.examination(positions)[None, :] * attraction)

    def describe(self) -> str:
        """See SimulatedClicks."""
        trust = f", {self.trust:g} more at the top" if self.trust else ""
        return (
            f"position-based, examination 1/position^{self.eta:g}, "
            f"click {self.click_probability:g} if relevant, {self.false_click_probability:g} if not{trust}"
        )


class CascadeClicks(SimulatedClicks):
    """From the top down to the first result that attracts: one click a session at most.

    Args:
        click_probability: of an examined result of the highest grade.
        false_click_probability: of an examined result that is not relevant.
    """

    def draw(self, grades: NDArray[np.float32], highest: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """See SimulatedClicks."""
        attracts = rng.random(grades.shape) < self.attraction(grades, highest)
        return np.asarray(attracts & (np.cumsum(attracts, axis=1) == 1))

    def describe(self) -> str:
        """See SimulatedClicks."""
        return f"cascade, click {self.click_probability:g} if relevant, {self.false_click_probability:g} if not"


class DynamicBayesianClicks(SimulatedClicks):
    """From the top down until a clicked result satisfies, or somebody gives up.

    Args:
        click_probability: of an examined result of the highest grade.
        false_click_probability: of an examined result that is not relevant.
        satisfaction: probability that a clicked result of the highest grade ends the search; lower grades in
            proportion, down to `false_satisfaction`.
        false_satisfaction: the same of a clicked result that is not relevant.
        perseverance: probability that somebody who is not satisfied goes on to the next result.
    """

    def __init__(
        self,
        click_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9,
        false_click_probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.02,
        satisfaction: Probability = 0.7,
        false_satisfaction: Probability = 0.1,
        perseverance: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9,
    ) -> None:
        super().__init__(click_probability, false_click_probability)
        self.satisfaction = satisfaction
        self.false_satisfaction = false_satisfaction
        self.perseverance = perseverance

    def satisfies(self, grades: NDArray[np.float32], highest: float) -> NDArray[np.float64]:
        """Probability that a clicked result ends the search."""
        rise = (self.satisfaction - self.false_satisfaction) * gains(grades, highest)
        return np.asarray(self.false_satisfaction + rise, dtype=np.float64)

    def draw(self, grades: NDArray[np.float32], highest: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """See SimulatedClicks."""
        attracts = rng.random(grades.shape) < self.attraction(grades, highest)
        leaves = attracts & (rng.random(grades.shape) < self.satisfies(grades, highest))
        leaves |= rng.random(grades.shape) >= self.perseverance
        left_above: NDArray[np.int64] = np.cumsum(leaves, axis=1) - leaves
        return np.asarray(attracts & (left_above == 0))

    def describe(self) -> str:
        """See SimulatedClicks."""
        return (
            f"dynamic Bayesian network, click {self.click_probability:g} if relevant, {self.false_click_probability:g} "
            f"if not, satisfied {self.satisfaction:g} and {self.false_satisfaction:g}, going on {self.perseverance:g}"
        )


class UserBrowsingClicks(SimulatedClicks):
    """Examination falls with the position and with the distance to the last click above.

    Position r is examined with probability 1 / (r^eta * d^distance_eta); d is the distance to the last click above, r
    where there is none.

    Args:
        eta: how fast attention falls with the position.
        distance_eta: how fast it falls with the distance to the last click.
        click_probability: of an examined result of the highest grade.
        false_click_probability: of an examined result that is not relevant.
    """

    def __init__(
        self,
        eta: Annotated[float, Field(ge=0.0, le=5.0)] = 0.3,
        distance_eta: Annotated[float, Field(ge=0.0, le=5.0)] = 0.5,
        click_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9,
        false_click_probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.02,
    ) -> None:
        super().__init__(click_probability, false_click_probability)
        self.eta = eta
        self.distance_eta = distance_eta

    def examination(self, position: int, distance: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability that a position (from 1) is examined, by the distance to the last click above it."""
        return np.asarray(float(position) ** -self.eta * distance.astype(np.float64) ** -self.distance_eta)

    def draw(self, grades: NDArray[np.float32], highest: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """See SimulatedClicks."""
        attracts = rng.random(grades.shape) < self.attraction(grades, highest)
        chance = rng.random(grades.shape)
        clicks = np.zeros(grades.shape, dtype=np.bool_)
        last = np.zeros(len(grades), dtype=np.int64)
        for position in range(1, grades.shape[1] + 1):
            examined = chance[:, position - 1] < self.examination(position, position - last)
            clicks[:, position - 1] = examined & attracts[:, position - 1]
            last = np.where(clicks[:, position - 1], position, last)
        return clicks

    def describe(self) -> str:
        """See SimulatedClicks."""
        return (
            f"user browsing, examination 1/(position^{self.eta:g} * distance^{self.distance_eta:g}), "
            f"click {self.click_probability:g} if relevant, {self.false_click_probability:g} if not"
        )
