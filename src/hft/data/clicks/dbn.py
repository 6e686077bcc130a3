"""The dynamic Bayesian network: people go down the list until a result has satisfied them, or they give up.

An examined result is clicked if it attracts; a clicked one satisfies with a probability of its own; who is not
satisfied goes on with probability `perseverance`. Source: Chapelle and Zhang 2009, "A dynamic Bayesian network click
model for web search ranking" (WWW); steps of EM as in Chuklin, Markov and de Rijke 2015, "Click models for web search".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from hft.data.clicks.evidence import Reading
from hft.data.clicks.log import ClickLog, Pairs, position_classes
from hft.data.clicks.model import ClickModel, PairValues, ReadsClicks
from hft.data.clicks.relative import Cells, linked_contexts, require_linked
from hft.data.clicks.running_sums import products_above, sums_to

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PRIOR = 1.0
_MOST_STEPS = 300
_TOLERANCE = 1e-5
_LOWEST, _HIGHEST = 1e-4, 1.0 - 1e-4


@dataclass(frozen=True)
class DynamicBayesianFit:
    """Parameters of the network.

    Args:
        attraction, satisfaction: of each (query, item).
        perseverance: the same everywhere.
        notes: lines for people.
    """

    attraction: PairValues
    satisfaction: PairValues
    perseverance: float
    notes: tuple[str, ...]

    def read(self, log: ClickLog) -> Reading:
        """See ReadsClicks."""
        attraction, satisfaction = self.attraction.of(log), self.satisfaction.of(log)
        going_on = np.log(self.perseverance) + np.log1p(-attraction * satisfaction)
        propensities = products_above(going_on, log)
        examined = _examined(log, _Order.of(log), attraction, satisfaction, self.perseverance)[0]
        return Reading(propensities, examined, 1.0 - (1.0 - examined) * attraction)


class DynamicBayesianModel(ClickModel):
    """Attraction and satisfaction of each (query, item), and perseverance, by EM.

    Args:
        perseverance: how probably somebody who is not satisfied goes on; None: fitted, which needs results that change
            their position. 1 is the simplified network: everything down to the last click was examined.
        weighting, clip, unexamined_negatives: see ClickModel.
    """

    def __init__(
        self,
        perseverance: Annotated[float, Field(gt=0.0, le=1.0)] | None = None,
        weighting: Literal["ips", "pairwise", "none"] = "ips",
        clip: Annotated[float, Field(ge=1.0)] = 10.0,
        unexamined_negatives: bool = True,
    ) -> None:
        super().__init__(weighting, clip, unexamined_negatives)
        self.perseverance = perseverance

    def _fit(self, log: ClickLog) -> ReadsClicks:
        pairs, index = Pairs.of(log)
        size = len(pairs)
        if self.perseverance is None:
            classes = position_classes(log.positions)
            cells = Cells.of(index, classes, log.clicks, size, int(classes.max(initial=0)) + 1)
            require_linked(linked_contexts(cells), type(self).__name__)
        order, last = _Order.of(log), _last_of_session(log)
        clicks = np.bincount(index[log.clicks], minlength=size)
        attraction = np.full(size, clicks.sum() / len(index))
        satisfaction = np.full(size, 0.5)
        perseverance = 0.9 if self.perseverance is None else self.perseverance
        means = (float(attraction[0]), 0.5)
        steps, is_done = 0, False
        while steps < _MOST_STEPS and not is_done:
            steps += 1
            seen, satisfied = _examined(log, order, attraction[index], satisfaction[index], perseverance)
            before = perseverance, *means
            if self.perseverance is None:
                perseverance = _perseverance(log, seen, satisfied, last)
            examined = np.bincount(index, seen, size)
            pleased = np.bincount(index[last], satisfied[last], size)
            means = clicks.sum() / examined.sum(), pleased.sum() / clicks.sum()
            attraction = np.clip((clicks + _PRIOR * means[0]) / (examined + _PRIOR), _LOWEST, _HIGHEST)
            satisfaction = np.clip((pleased + _PRIOR * means[1]) / (clicks + _PRIOR), _LOWEST, _HIGHEST)
            now = perseverance, *means
            is_done = max(abs(a - b) for a, b in zip(before, now, strict=True)) < _TOLERANCE
        whence = "fitted" if self.perseverance is None else "given"
        note = (
            f"dynamic Bayesian network: {len(log):,} sessions, {steps} steps of EM; perseverance {perseverance:.3f} "
            f"({whence}); an examined result attracts with probability {means[0]:.3f}, a clicked one satisfies with "
            f"{means[1]:.3f}"
        )
        return DynamicBayesianFit(
            PairValues(pairs, attraction.astype(np.float32), float(means[0])),
            PairValues(pairs, satisfaction.astype(np.float32), float(means[1])),
            perseverance,
            (note,),
        )


@dataclass(frozen=True)
class _Order:
    """The results of all lists by position: of the longest lists first.

    Args:
        starts: `int64[sessions]` first result of each session, the longest first.
        counts: `int64[positions]` how many sessions have a result at each position.
    """

    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, log: ClickLog) -> _Order:
        order = np.argsort(-log.lengths, kind="stable")
        counts = np.bincount(log.places) if len(log.places) else np.zeros(0, dtype=np.int64)
        return cls(log.offsets[:-1][order], counts)


def _last_of_session(log: ClickLog) -> NDArray[np.int64]:
    """`int64[sessions with a click]`: the last clicked result of each."""
    clicked = np.flatnonzero(log.clicks)
    sessions = log.sessions[clicked]
    return clicked[np.append(sessions[1:] != sessions[:-1], True)] if len(clicked) else clicked


def _examined(
    log: ClickLog,
    order: _Order,
    attraction: NDArray[np.float64],
    satisfaction: NDArray[np.float64],
    perseverance: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P(examined | clicks), P(satisfied | clicks) at the last click of a session), `float64[results]` each."""
    # silent[i]: probability of no click from result i on, given that it is examined; 1 past the end of a list.
    silent = np.ones(len(attraction) + 1)
    after = np.ones(len(attraction))  # the same for the result below each
    for position in range(len(order.counts) - 1, -1, -1):
        rows = order.starts[: order.counts[position]] + position
        if position + 1 < len(order.counts):
            deeper = rows[: order.counts[position + 1]]
            after[deeper] = silent[deeper + 1]
        silent[rows] = (1.0 - attraction[rows]) * (1.0 - perseverance + perseverance * after[rows])
    here = perseverance * silent[:-1]
    step = np.log(here / (1.0 - perseverance + here))  # examined, given that the one above was, and no click since
    last = _last_of_session(log)
    goes_on = (1.0 - satisfaction[last]) * (1.0 - perseverance + perseverance * after[last])
    satisfied = np.zeros(len(attraction))
    satisfied[last] = satisfaction[last] / (satisfaction[last] + goes_on)
    has_next = (last + 1 < len(log.clicks)) & (log.places[np.minimum(last + 1, len(log.clicks) - 1)] > 0)
    below = last[has_next] + 1
    unhappy = (1.0 - satisfaction[below - 1]) * here[below]
    step[below] = np.log(unhappy / (satisfaction[below - 1] + goes_on[has_next]))
    reaches = np.repeat(_last_positions(log, last), log.lengths)
    step[(log.places <= reaches) | (log.places == 0)] = 0.0
    return np.exp(np.minimum(sums_to(step, log), 0.0)), satisfied


def _last_positions(log: ClickLog, last: NDArray[np.int64]) -> NDArray[np.int32]:
    """`int32[sessions]`: position of the last click, -1 where there is none."""
    found = np.full(len(log), -1, dtype=np.int32)
    found[log.sessions[last]] = log.places[last]
    return found


def _perseverance(
    log: ClickLog, seen: NDArray[np.float64], satisfied: NDArray[np.float64], last: NDArray[np.int64]
) -> float:
    """How often somebody who examined a result and was not satisfied went on, where there was a result to go on to."""
    has_next = np.zeros(len(seen), dtype=np.bool_)
    has_next[:-1] = log.places[1:] > 0
    chances = (seen * has_next).sum() - (satisfied[last] * has_next[last]).sum()
    went_on = seen[1:][has_next[:-1]].sum()
    return float(np.clip(went_on / max(chances, 1e-12), _LOWEST, _HIGHEST))
