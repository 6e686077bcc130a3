"""Shown lists and clicks for queries whose relevant items are known.

The ranker is BM25 over the texts with seeded normal noise; the click model is position-based: a click needs
that the position was examined, with probability 1/position^eta, and that the result draws a click once
examined, with a probability that grows with its relevance and is not 0 for irrelevant ones (false clicks).
Position-based model: Richardson et al. 2007, "Predicting clicks"; examination 1/position^eta: Joachims et
al. 2017, "Unbiased learning-to-rank with biased feedback".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hft.data.arrow import list_column
from hft.data.bm25 import BM25

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet

# Results that BM25 hands to the noise, as a multiple of the list's length: noise moves results by a few
# places.
_DEPTH = 10


@dataclass(frozen=True)
class PositionBasedClicks:
    """The click model.

    Args:
        eta: how fast attention falls with the position; 0 examines everything.
        click_probability: of an examined result of the highest grade.
        false_click_probability: of an examined result that is not relevant.
    """

    eta: float = 0.5
    click_probability: float = 0.9
    false_click_probability: float = 0.02

    def examination(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability that a position (from 1) is examined: 1/position^eta."""
        return np.asarray(positions.astype(np.float64) ** -self.eta, dtype=np.float64)

    def attraction(self, grades: NDArray[np.float32], highest: float) -> NDArray[np.float64]:
        """Probability of a click on an examined result, by its grade: (2^grade - 1) / (2^highest - 1) of
        the way from the false clicks to the click probability (the gain of Chapelle et al. 2009, expected
        reciprocal rank).
        """
        gain = np.expm1(grades.astype(np.float64) * np.log(2)) / np.expm1(max(highest, 1e-9) * np.log(2))
        low, high = self.false_click_probability, self.click_probability
        return np.asarray(low + (high - low) * np.clip(gain, 0.0, 1.0), dtype=np.float64)


@dataclass(frozen=True)
class ClickSimulator:
    """Shows each query a list and clicks on it. An `Impressions` (see hft.data.source).

    Args:
        items: all items.
        clicks: the click model.
        results_per_session: length of a shown list.
        sessions_per_query: sessions made of a training query; each has its own noise and clicks.
        noise: standard deviation of the noise on the ranker's scores, in units of a query's best score.
        seed: of all draws.
    """

    items: ItemsSet
    clicks: PositionBasedClicks = PositionBasedClicks()
    results_per_session: int = 10
    sessions_per_query: int = 2
    noise: float = 0.1
    seed: int = 0

    @cached_property
    def _ranker(self) -> BM25:
        return BM25(self.items.texts)

    def describe(self) -> str:
        """One line that names ranker, click model and noise."""
        return (
            f"shown lists are simulated: BM25 with normal noise {self.noise:g}, {self.results_per_session} results; "
            f"clicks are simulated: position-based, examination 1/position^{self.clicks.eta:g}, "
            f"click {self.clicks.click_probability:g} if relevant, {self.clicks.false_click_probability:g} if not"
        )

    def __call__(
        self, inputs: FineTuningInputs, allowed: NDArray[np.int32], sessions_per_query: int | None = None
    ) -> FineTuningInputs:
        """The inputs with results and events filled in; the relevant items of a query are among its shown
        ones (as many as the list has room for).

        Args:
            inputs: queries with known relevance, all relevant items among the allowed.
            allowed: `int32[allowed]` rows of the items that may be shown.
            sessions_per_query: sessions made of each input; None takes the simulator's own.
        """
        repeat = self.sessions_per_query if sessions_per_query is None else sessions_per_query
        if len(inputs) == 0:
            return inputs
        rng = np.random.default_rng([self.seed, len(inputs), len(allowed)])
        length = min(self.results_per_session, len(allowed))
        shown = _ranked(inputs, allowed, self._ranker, length, repeat, self.noise, rng)
        sessions = inputs.select(np.repeat(np.arange(len(inputs)), repeat))
        shown = _with_relevant(shown, sessions, rng)
        offsets = np.arange(len(sessions) + 1, dtype=np.int64) * length
        ids = [f"{name}/{number % repeat}" if repeat > 1 else name for number, name in enumerate(sessions.session_ids)]
        none = np.zeros(shown.size, dtype=np.float32)
        listed = sessions.replace(
            session_id=ids,
            results=list_column(offsets, shown.ravel(), pa.int32()),
            events=list_column(offsets, none, pa.float32()),
        )
        grades = listed.shown_gains().reshape(shown.shape)
        highest = float(inputs.flat_grades.max(initial=0.0))
        examined = self.clicks.examination(np.arange(1, length + 1))[None, :]
        clicked = rng.random(shown.shape) < examined * self.clicks.attraction(grades, highest)
        return listed.with_events(clicked.ravel().astype(np.float32))


def _ranked(
    inputs: FineTuningInputs,
    allowed: NDArray[np.int32],
    ranker: BM25,
    length: int,
    repeat: int,
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """`int32[sessions, length]`: the noisy ranker's best results, best first."""
    depth = min(length * _DEPTH, len(allowed))
    lists = []
    for _, scores in ranker.scores(inputs.queries, allowed):
        if depth < len(allowed):
            # Ties (mostly scores of 0) are broken by a draw, or the first items would be shown to everybody.
            scores += rng.random(scores.shape, dtype=np.float32) * np.float32(1e-6)
            best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        else:
            best = np.broadcast_to(np.arange(depth), scores.shape)
        values = np.take_along_axis(scores, best, axis=1)
        values = values / np.maximum(values.max(axis=1, keepdims=True), 1e-9)
        values, best = np.repeat(values, repeat, axis=0), np.repeat(best, repeat, axis=0)
        noisy = values + noise * rng.standard_normal(values.shape)
        order = np.argsort(-noisy, axis=1, kind="stable")[:, :length]
        lists.append(allowed[np.take_along_axis(best, order, axis=1)])
    return np.concatenate(lists).astype(np.int32)


def _with_relevant(shown: NDArray[np.int32], sessions: FineTuningInputs, rng: np.random.Generator) -> NDArray[np.int32]:
    """The lists with each relevant item that is missing put at a drawn place, in the stead of an irrelevant
    one."""
    labels = sessions.labels()
    relevant = labels.grades > 0
    owner = np.repeat(np.arange(len(sessions)), np.diff(labels.offsets))[relevant]
    wanted = labels.rows[relevant]
    stride = np.int64(len(sessions.items))
    shown_keys = np.arange(len(sessions), dtype=np.int64)[:, None] * stride + shown
    wanted_keys = owner * stride + wanted
    missing = ~np.isin(wanted_keys, shown_keys)
    free = rng.random(shown.shape)
    free[np.isin(shown_keys, wanted_keys)] = np.inf
    places = np.argsort(free, axis=1, kind="stable")
    owner, wanted = owner[missing], wanted[missing]
    turn = np.arange(len(owner)) - np.searchsorted(owner, owner, side="left")
    fits = turn < np.isfinite(free).sum(axis=1)[owner]
    owner, wanted, turn = owner[fits], wanted[fits], turn[fits]
    result = shown.copy()
    result[owner, places[owner, turn]] = wanted
    return result
