"""NDCG, MRR, Recall, MAP and Precision, vectorised over queries and equal to trec_eval's definitions.

A gain above 0 is relevant. The tests hold every metric here against ir-measures.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hft.metrics.base import Metric
from hft.metrics.ranked_lists import RankedLists

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class NDCG(Metric):
    """Normalised discounted cumulative gain: DCG of the ranking over DCG of the best possible one.

    DCG@k = sum over positions i = 1..k of gain_i / log2(i + 1). The gain is linear, as in trec_eval and in
    ir-measures' default, not 2^gain - 1.

    Source: Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002, with the
    discount of trec_eval.

    Args:
        k: positions that count.
    """

    base_name: ClassVar[str] = "ndcg"

    def __init__(self, k: Annotated[int, Field(ge=1)] = 10) -> None:
        self.k: int = k

    def _values(self, lists: RankedLists) -> Values:
        return _ratio(_dcg(lists.gains, self.k), _dcg(lists.ideal_gains, self.k))

    def at_random(self, lists: RankedLists, candidates: Counts) -> Values:
        """Every place has the mean gain of the candidates. See Metric."""
        discounts = np.append(0.0, (1.0 / np.log2(np.arange(self.k) + 2.0)).cumsum())
        gain = _ratio(lists.ideal_gains.sum(axis=1, dtype=np.float64), candidates)
        return _ratio(gain * discounts[np.minimum(candidates, self.k)], _dcg(lists.ideal_gains, self.k))


class MRR(Metric):
    """Reciprocal rank: 1 / position of the first relevant result, 0 if it is not among the first k.

    Source: trec_eval's recip_rank, with a cutoff (ir-measures' RR@k).

    Args:
        k: positions that count.
    """

    base_name: ClassVar[str] = "mrr"

    def __init__(self, k: Annotated[int, Field(ge=1)] = 10) -> None:
        self.k: int = k

    def _values(self, lists: RankedLists) -> Values:
        hits = _hits(lists, self.k)
        if not hits.shape[1]:
            return np.zeros(len(hits))
        return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1.0), 0.0)

    def at_random(self, lists: RankedLists, candidates: Counts) -> Values:
        """Sum over places i of P(the first relevant one stands there) / i. See Metric."""
        total, none_so_far = np.zeros(len(candidates)), np.ones(len(candidates))
        for place in range(min(self.k, int(candidates.max(initial=0)))):
            relevant_here = np.minimum(_ratio(lists.num_relevant, candidates - place), 1.0)
            total += none_so_far * relevant_here / (place + 1.0)
            none_so_far *= 1.0 - relevant_here
        return total


class Recall(Metric):
    """Share of the query's relevant items, ranked or not, that are among the first k.

    Source: trec_eval's recall (ir-measures' R@k).

    Args:
        k: positions that count.
    """

    base_name: ClassVar[str] = "recall"

    def __init__(self, k: Annotated[int, Field(ge=1)] = 10) -> None:
        self.k: int = k

    def _values(self, lists: RankedLists) -> Values:
        return _ratio(_hits(lists, self.k).sum(axis=1), lists.num_relevant)

    def at_random(self, lists: RankedLists, candidates: Counts) -> Values:
        """The share of the candidates that is among the first k. See Metric."""
        return _ratio(np.minimum(candidates, self.k), candidates)


class MAP(Metric):
    """Average precision: precision at each relevant result's position, summed, over all relevant items.

    With a cutoff the sum stops at k while the divisor stays the number of all relevant items.

    Source: trec_eval's map and map_cut (ir-measures' AP and AP@k).

    Args:
        k: positions that count; None counts all.
    """

    base_name: ClassVar[str] = "map"

    def __init__(self, k: Annotated[int, Field(ge=1)] | None = None) -> None:
        self.k: int | None = k

    def _values(self, lists: RankedLists) -> Values:
        hits = _hits(lists, self.k)
        precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
        return _ratio((precision * hits).sum(axis=1), lists.num_relevant)

    def at_random(self, lists: RankedLists, candidates: Counts) -> Values:
        """Of R relevant among N: sum over places i of (1 + (i - 1)(R - 1)/(N - 1)) / (N i).

        A relevant result stands at place i with a chance of R/N, and then (R - 1)/(N - 1) of those before it are
        relevant too; the sum is divided by R. See Metric. Source: Bestgen, "Exact expected average precision of the
        random baseline for system evaluation", Prague Bulletin of Mathematical Linguistics 103, 2015.
        """
        counted = np.minimum(candidates, lists.gains.shape[1] if self.k is None else self.k)
        harmonic = np.append(0.0, (1.0 / np.arange(1.0, counted.max(initial=0) + 1.0)).cumsum())[counted]
        others = _ratio(lists.num_relevant - 1, candidates - 1)
        return _ratio(harmonic + others * (counted - harmonic), candidates)


class Precision(Metric):
    """Share of the first k positions that hold a relevant result; a shorter list counts as k long.

    Source: trec_eval's P (ir-measures' P@k).

    Args:
        k: positions that count.
    """

    base_name: ClassVar[str] = "precision"

    def __init__(self, k: Annotated[int, Field(ge=1)] = 10) -> None:
        self.k: int = k

    def _values(self, lists: RankedLists) -> Values:
        return np.asarray(_hits(lists, self.k).sum(axis=1) / self.k, dtype=np.float64)

    def at_random(self, lists: RankedLists, candidates: Counts) -> Values:
        """Every place is relevant with the share of the relevant ones. See Metric."""
        return _ratio(lists.num_relevant * np.minimum(candidates, self.k), candidates * self.k)


class Accuracy(Metric):
    """1 where the first result is relevant, 0 where it is not: whether a query was put into one of its categories.

    It equals precision@1. Two categories of the same rank stand in a seeded order.
    """

    base_name: ClassVar[str] = "accuracy"
    k = 1

    @property
    def name(self) -> str:
        """`accuracy`: the cutoff is what the word means."""
        return self.base_name

    def _values(self, lists: RankedLists) -> Values:
        return np.asarray(_hits(lists, 1).any(axis=1), dtype=np.float64)

    def at_random(self, lists: RankedLists, candidates: Counts) -> Values:
        """The share of the relevant ones. See Metric."""
        return _ratio(lists.num_relevant, candidates)


def _dcg(gains: npt.NDArray[np.float32], k: int) -> Values:
    counted = gains[:, :k].astype(np.float64)
    return np.asarray(counted @ (1.0 / np.log2(np.arange(counted.shape[1]) + 2.0)), dtype=np.float64)


def _hits(lists: RankedLists, k: int | None) -> npt.NDArray[np.bool_]:
    return np.asarray(lists.gains[:, :k] > 0, dtype=np.bool_)


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Values:
    """0 where the denominator is 0: a query without a relevant item, which becomes NaN in Metric."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
