"""What every click model has: how its reading becomes evidence, and what it says of its fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import numpy as np
from pydantic import Field

from hft.data.clicks.evidence import Evidence, Reading, Weigher
from hft.data.clicks.log import ClickLog, Pairs, position_classes
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ReadsClicks(Protocol):
    """A model with its parameters, whose reading of a log is asked for."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for people: what was fitted, and how well the log tells it."""
        ...

    def read(self, log: ClickLog) -> Reading:
        """What the model says of each result of a log, also of one that it was not fitted on."""
        ...


@dataclass(frozen=True)
class FittedClicks:
    """A click model fitted on the training sessions.

    Args:
        model: its parameters.
        weigher: turns its reading into evidence.
    """

    model: ReadsClicks
    weigher: Weigher

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for people: what was fitted, and how well the log tells it."""
        return self.model.notes

    def read(self, log: ClickLog) -> Reading:
        """Propensities, posterior examination, attraction and truth of each result."""
        return self.model.read(log)

    def inverse_propensities(self, log: ClickLog) -> NDArray[np.float32]:
        """`float32[results]`: what a click stands for, clipped, whatever training weighs it by; 0 without one."""
        return Weigher("ips", self.weigher.clip, True)(log, self.read(log)).weights

    def examination(self, positions: int) -> NDArray[np.float64] | None:
        """`float64[positions]`: how probably each place is examined; None for a model in which that hangs on more."""
        by_class = getattr(self.model, "by_position", None)
        if by_class is None:
            return None
        values: NDArray[np.float64] = by_class()
        return values[np.minimum(position_classes(np.arange(positions)), len(values) - 1)]

    def evidence(self, log: ClickLog) -> Evidence:
        """Weights, confidences and negatives, as training takes them."""
        return self.weigher(log, self.read(log))


def preparation_for(clicks: object) -> dict[str, bool]:
    """What reading clicks so asks of the preparation of data, as options of prepare_ranking_data.

    Args:
        clicks: from the group data/clicks, a rule or a click model: the latter needs the sessions without a click too.
    """
    return {"keep_without_event": True} if isinstance(clicks, ClickModel) else {}


class ClickModel(ABC):
    """A model of how people look at a list and click, fitted on the training sessions.

    Args:
        weighting: what a click is worth: `ips`, `pairwise` or `none` (see Weigher).
        clip: highest weight of a click.
        unexamined_negatives: whether results below the last examined position are negatives. Inverse propensities count
            on them: without, what stands low is a positive now and then and hardly ever a negative.
    """

    def __init__(
        self,
        weighting: Literal["ips", "pairwise", "none"] = "ips",
        clip: Annotated[float, Field(ge=1.0)] = 10.0,
        unexamined_negatives: bool = True,
    ) -> None:
        self.weigher = Weigher(weighting, float(clip), unexamined_negatives)

    def fit(self, log: ClickLog) -> FittedClicks:
        """The model with parameters from a log.

        Raises:
            DataError: the log has no clicks, or cannot tell the parameters apart.
        """
        if not log.clicks.any():
            raise DataError(
                f"data.clicks ({type(self).__name__}): none of the {len(log):,} training sessions has a click, so that "
                "there is nothing to fit. Check that the events are read, or choose data/clicks=naive."
            )
        return FittedClicks(self._fit(log), self.weigher)

    @abstractmethod
    def _fit(self, log: ClickLog) -> ReadsClicks:
        """The fitted parameters; the log has a click."""


@dataclass(frozen=True)
class PairValues:
    """A value for each known (query, item), and one for all others.

    Args:
        pairs: the known ones.
        values: `float32[pairs]`.
        otherwise: of pairs that the log of the fit did not hold.
    """

    pairs: Pairs
    values: NDArray[np.float32]
    otherwise: float

    def of(self, log: ClickLog) -> NDArray[np.float64]:
        """`float64[results]` of a log."""
        index = self.pairs.find(log)
        if len(self.values) == 0:
            return np.full(len(index), self.otherwise)
        return np.where(index >= 0, self.values[index], self.otherwise).astype(np.float64)
