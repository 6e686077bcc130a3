"""What clicks are worth as evidence, result by result: weights, confidences, and what may be a negative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.clicks.log import ClickLog

Weighting = Literal["ips", "pairwise", "none"]

# A result counts as examined, and a click as a true one, where that is more likely than not.
_MORE_LIKELY = 0.5
# Confidences are above 0, so that a session with an event keeps its weight.
_LOWEST_CONFIDENCE = 1e-3


@dataclass(frozen=True)
class Evidence:
    """How the clicks of some sessions are to be read. All arrays are flat over the results shown.

    Args:
        confidences: `float32[results]` in (0, 1]: how far a click, or its absence, is believed.
        weights: `float32[results]`, 0 or more: what a result is worth as a positive, relative to others; 0 where
            there is no click.
        believed: `bool[results]`: clicks that are more likely true than not. No other session of the query takes such
            a result as a negative.
        may_be_negative: `bool[results]`: results whose lack of a (believed) click tells something.
    """

    confidences: NDArray[np.float32]
    weights: NDArray[np.float32]
    believed: NDArray[np.bool_]
    may_be_negative: NDArray[np.bool_]


@dataclass(frozen=True)
class Reading:
    """What a fitted click model says of the results of some sessions.

    Args:
        propensities: `float64[results]`: probability that the result was examined, before its click is known,
            relative to the best placed.
        examined: `float64[results]`: the same once all clicks of the session are known.
        irrelevant: `float64[results]`: probability that a result without a click does not attract.
        truth: `float64[results]`: probability that a click on it is a true one; None: all are.
    """

    propensities: NDArray[np.float64]
    examined: NDArray[np.float64]
    irrelevant: NDArray[np.float64]
    truth: NDArray[np.float64] | None = None


def unclicked(
    propensities: NDArray[np.float64], attraction: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P(E = 1 | C = 0), P(A = 0 | C = 0)) where a click is examination and attraction, each on its own.

    Args:
        propensities: P(E = 1).
        attraction: P(A = 1).
    """
    examined = propensities * (1.0 - attraction) / np.maximum(1.0 - propensities * attraction, 1e-12)
    return examined, 1.0 - (1.0 - examined) * attraction


@dataclass(frozen=True)
class Weigher:
    """Turns a reading into evidence; the options are those of every click model.

    Args:
        weighting: `ips`: a click weighs truth / propensity. `pairwise`: besides, a negative is believed by the
            probability that it does not attract, given that it was not clicked: the weight of a pair is
            truth / propensity of the one times that of the other. `none`: a click weighs its truth alone.
        clip: highest weight; an examined click that is surely true weighs 1.
        unexamined_negatives: whether results below the last examined position are negatives.
    """

    weighting: Weighting
    clip: float
    unexamined_negatives: bool

    def __call__(self, log: ClickLog, reading: Reading) -> Evidence:
        """The evidence of a log's clicks."""
        truth = np.ones(len(log.clicks)) if reading.truth is None else reading.truth
        weights = truth
        if self.weighting != "none":
            weights = truth / np.maximum(reading.propensities, 1.0 / self.clip)
        confidences = np.ones(len(log.clicks))
        if self.weighting == "pairwise":
            confidences = reading.irrelevant
        elif not self.unexamined_negatives:
            confidences = reading.examined
        believed = log.clicks & (truth >= _MORE_LIKELY)
        confidences = np.where(log.clicks, 1.0, np.clip(confidences, _LOWEST_CONFIDENCE, 1.0))
        if self.unexamined_negatives:
            may_be_negative = np.ones(len(log.clicks), dtype=np.bool_)
        else:
            may_be_negative = log.positions <= _last_examined(log, reading.examined)
        return Evidence(
            confidences.astype(np.float32),
            np.where(log.clicks, weights, 0.0).astype(np.float32),
            believed,
            may_be_negative & ~believed,
        )


def _last_examined(log: ClickLog, examined: NDArray[np.float64]) -> NDArray[np.int32]:
    """`int32[results]`: the last position of the result's session that was examined more likely than not, or clicked;
    -1 where there is none."""
    seen = log.clicks | (examined >= _MORE_LIKELY)
    places = np.where(seen, log.positions, np.int32(-1))
    last = np.full(len(log), -1, dtype=np.int32)
    filled = log.lengths > 0
    if filled.any():
        last[filled] = np.maximum.reduceat(places, log.offsets[:-1][filled])
    return np.repeat(last, log.lengths)
