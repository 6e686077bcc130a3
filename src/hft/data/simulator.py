"""Shown lists and clicks for queries whose relevant items are known.

Over a labelled corpus the ranker is BM25 over the texts with seeded normal noise; judged lists are shown in the order
of popularity or at random. The clicks are drawn by one of the models of hft.data.clicks.simulated; the default is
position-based (Richardson et al. 2007, "Predicting clicks") with examination 1/position^eta (Joachims et al. 2017,
"Unbiased learning-to-rank with biased feedback").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from hft.data.arrow import list_column
from hft.data.bm25 import BM25
from hft.data.clicks.simulated import PositionBasedClicks, SimulatedClicks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet

# Results that BM25 hands to the noise, as a multiple of the list's length: noise moves results by a few
# places.
_DEPTH = 10

# Batch id of the sessions that JudgedListSimulator shows in an order of their own.
SHUFFLED_BATCH = "shuffled"


@dataclass(frozen=True)
class ClickSimulator:
    """Shows each query a list and clicks on it. An `Impressions` (see hft.data.source).

    Args:
        items: all items.
        clicks: the model of those who click.
        results_per_session: length of a shown list.
        sessions_per_query: sessions made of a training query; each has its own noise and clicks.
        noise: standard deviation of the noise on the ranker's scores, in units of a query's best score.
        seed: of all draws.
    """

    items: ItemsSet
    clicks: SimulatedClicks = field(default_factory=PositionBasedClicks)
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
            f"clicks are simulated: {self.clicks.describe()}"
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
        clicked = self.clicks.draw(grades, highest, rng)
        return listed.with_events(clicked.ravel().astype(np.float32))


@dataclass(frozen=True)
class JudgedListSimulator:
    """Shows each query the items that were judged for it, again and again, and clicks on them. An `Impressions`.

    Args:
        clicks: the click model.
        order: `popularity`: items that are relevant to many of the queries first, the same in all sessions of a query;
            `shuffled`: each session's own draw.
        sessions_per_query: sessions made of a training query.
        shuffled_share: share of the sessions that are shown in an order of their own whatever `order` says, with the
            batch id SHUFFLED_BATCH: what a click model learns positions from. The others keep their batch ids.
        seed: of all draws.
    """

    clicks: SimulatedClicks = field(default_factory=PositionBasedClicks)
    order: Literal["popularity", "shuffled"] = "popularity"
    sessions_per_query: int = 50
    shuffled_share: float = 0.0
    seed: int = 0

    def describe(self) -> str:
        """One line that names order and click model."""
        shuffled = f", {self.shuffled_share:.0%} of the sessions shuffled" if self.shuffled_share else ""
        return f"shown lists: all judged items, {self.order}{shuffled}; clicks are simulated: {self.clicks.describe()}"

    def __call__(
        self, inputs: FineTuningInputs, allowed: NDArray[np.int32], sessions_per_query: int | None = None
    ) -> FineTuningInputs:
        """The inputs with results and events filled in; see Impressions. A list holds all of its judged items, allowed
        or not: as with real logs, they are what was shown."""
        repeat = self.sessions_per_query if sessions_per_query is None else sessions_per_query
        if len(inputs) == 0:
            return inputs
        rng = np.random.default_rng([self.seed, len(inputs), len(allowed)])
        popularity = np.bincount(inputs.flat_judged[inputs.flat_grades > 0], minlength=len(inputs.items))
        popular = popularity + rng.random(len(inputs.items))  # ties are broken by a draw
        sessions = inputs.select(np.repeat(np.arange(len(inputs)), repeat))
        owners = np.repeat(np.arange(len(sessions)), np.diff(sessions.judgement_offsets))
        rows, grades = sessions.flat_judged, sessions.flat_grades
        shuffled = rng.random(len(sessions)) < (1.0 if self.order == "shuffled" else self.shuffled_share)
        keys = np.where(shuffled[owners], rng.random(len(rows)), -popular[rows])
        order = np.lexsort((keys, owners))
        rows, grades = rows[order], grades[order]
        lengths = np.bincount(owners, minlength=len(sessions))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        clicked = self._clicked(grades, offsets, float(inputs.flat_grades.max(initial=0.0)), rng)
        ids = [f"{name}/{number % repeat}" if repeat > 1 else name for number, name in enumerate(sessions.session_ids)]
        columns = {}
        if self.shuffled_share:
            own = sessions.table.column("batch_id").to_pylist()
            columns["batch_id"] = [
                SHUFFLED_BATCH if other else batch for batch, other in zip(own, shuffled.tolist(), strict=True)
            ]
        return sessions.replace(
            session_id=ids,
            results=list_column(offsets, rows, pa.int32()),
            events=list_column(offsets, clicked.astype(np.float32), pa.float32()),
            **columns,
        )

    def _clicked(
        self, grades: NDArray[np.float32], offsets: NDArray[np.int64], highest: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """`bool[results]`, drawn for sessions of one length together."""
        lengths = np.diff(offsets)
        clicked = np.zeros(len(grades), dtype=np.bool_)
        for length in np.unique(lengths[lengths > 0]).tolist():
            places = offsets[:-1][lengths == length][:, None] + np.arange(length)
            clicked[places] = self.clicks.draw(grades[places], highest, rng)
        return clicked


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
