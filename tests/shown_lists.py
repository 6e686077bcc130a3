"""Logs of simulated clicks for the tests of click models: queries with items of known grades, shown again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hft.data import ClickLog, SimulatedClicks


@dataclass(frozen=True)
class Shown:
    """A log, and what is known of it.

    Args:
        log: the log.
        grades: `float32[results]`.
        places: `int64[sessions, positions]`: which of its query's items stands where.
    """

    log: ClickLog
    grades: np.ndarray
    places: np.ndarray


def shown_lists(
    clicks: SimulatedClicks,
    *,
    queries: int = 60,
    sessions: int = 400,
    length: int = 8,
    order: str = "swapped",
    relevant: float = 0.4,
    grades: tuple[float, ...] = (1.0,),
    seed: int = 0,
) -> Shown:
    """Sessions of each query over the same items.

    Args:
        clicks: who clicks.
        queries, sessions, length: how many queries, sessions of each, results of a list.
        order: `fixed`: the query's own order, relevant items rather at the top; `swapped`: the same with two results
            exchanged in each session; `shuffled`.
        relevant: share of relevant items.
        grades: of relevant items, drawn.
        seed: of all draws.
    """
    rng = np.random.default_rng(seed)
    of_query = np.where(rng.random((queries, length)) < relevant, rng.choice(grades, (queries, length)), 0.0)
    # The best rather at the top: a naive look at clicks by position mixes examination with relevance.
    of_query = np.take_along_axis(of_query, np.argsort(-of_query + rng.normal(0, 0.7, of_query.shape), axis=1), axis=1)
    query = np.repeat(np.arange(queries), sessions)
    places = np.tile(np.arange(length), (len(query), 1))
    if order == "shuffled":
        places = rng.permuted(places, axis=1)
    elif order == "swapped":
        first, second = rng.integers(length, size=(2, len(query)))
        rows = np.arange(len(query))
        places[rows, first], places[rows, second] = places[rows, second], places[rows, first]
    shown = of_query[query[:, None], places].astype(np.float32)
    drawn = clicks.draw(shown, max(grades), rng)
    log = ClickLog(
        drawn.ravel(),
        np.arange(len(query) + 1, dtype=np.int64) * length,
        query,
        (query[:, None] * length + places).ravel(),
        queries * length,
    )
    return Shown(log, shown.ravel(), places)
