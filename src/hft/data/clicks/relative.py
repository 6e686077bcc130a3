"""Examination by context, where a click has probability examination[context] * attraction[query, item].

The context is the position (position-based model), or the position and the last click above it (user browsing
model). Both estimates below are exact in expectation however few impressions a pair has: a pair's attraction drops out
of the first, so that a million pairs of two impressions each do not pull it off (as they do with the maximum
likelihood of both together, which EM climbs).

Sources: swaps as interventions: Agarwal et al. 2019, "Estimating position bias without intrusive interventions" (WSDM);
the likelihood of where a pair's clicks fell given how many it got is a Bradley-Terry model, climbed by Hunter's
minorise-maximise steps (2004, "MM algorithms for generalized Bradley-Terry models") and then Newton's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Contexts that no swap links to the others, and whose share of the impressions is at most this, take the examination
# of their nearest neighbour; more of them is a log that cannot tell.
_UNLINKED_SHARE = 0.05
_FIRST_STEPS = 20
_NEWTON_STEPS = 50
_MOST_NEWTON_CONTEXTS = 600
_LONG_CLIMB = 500
_TOLERANCE = 1e-7
# The highest examination is that of a context with so many clicks at least: a rare one is no measure for the others.
_MANY_CLICKS = 100
# What stands in for the clicks of a context without one: a context is never surely unseen.
_HALF_A_CLICK = 0.5


@dataclass(frozen=True)
class Cells:
    """Impressions and clicks by (pair, context).

    Args:
        pairs, contexts: `int32[cells]`, distinct together, sorted by pair.
        impressions, clicks: `float64[cells]`.
        num_pairs, num_contexts: exclusive upper bounds of the two.
    """

    pairs: NDArray[np.int32]
    contexts: NDArray[np.int32]
    impressions: NDArray[np.float64]
    clicks: NDArray[np.float64]
    num_pairs: int
    num_contexts: int

    @classmethod
    def of(
        cls,
        pairs: NDArray[np.int32],
        contexts: NDArray[np.int32],
        clicks: NDArray[np.bool_],
        num_pairs: int,
        num_contexts: int,
    ) -> Cells:
        """Counted from one entry a result."""
        codes = pairs.astype(np.int64) * num_contexts + contexts
        found, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
        clicked = np.bincount(index[clicks], minlength=len(found)).astype(np.float64)
        return cls(
            (found // num_contexts).astype(np.int32),
            (found % num_contexts).astype(np.int32),
            counts.astype(np.float64),
            clicked,
            num_pairs,
            num_contexts,
        )

    def select(self, kept: NDArray[np.bool_]) -> Cells:
        """The cells where a `bool[cells]` mask is set."""
        return Cells(
            self.pairs[kept],
            self.contexts[kept],
            self.impressions[kept],
            self.clicks[kept],
            self.num_pairs,
            self.num_contexts,
        )

    def by_pair(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`float64[pairs]`: sums of `float64[cells]`."""
        return np.asarray(np.bincount(self.pairs, values, self.num_pairs), dtype=np.float64)

    def by_context(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`float64[contexts]`: sums of `float64[cells]`."""
        return np.asarray(np.bincount(self.contexts, values, self.num_contexts), dtype=np.float64)


@dataclass(frozen=True)
class Linked:
    """Which contexts a log links, so that their examinations can be compared.

    Args:
        moved: the cells of clicked pairs that were shown in two contexts or more.
        is_linked: `bool[contexts]`: linked with the most shown ones.
        share: of the impressions that lie in linked contexts.
        num_moved: clicked pairs that were shown in two contexts or more.
    """

    moved: Cells
    is_linked: NDArray[np.bool_]
    share: float
    num_moved: int


def linked_contexts(cells: Cells) -> Linked:
    """Contexts are linked where some clicked pair was shown in both: the examinations of contexts that no chain of
    such pairs links stand in no known relation (Bradley-Terry: the graph must be connected)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    clicked = cells.by_pair(cells.clicks) > 0
    several = np.bincount(cells.pairs, minlength=cells.num_pairs) > 1
    moved = cells.select((clicked & several)[cells.pairs])
    same = moved.pairs[1:] == moved.pairs[:-1]
    ends = moved.contexts[:-1][same], moved.contexts[1:][same]
    size = cells.num_contexts
    _, label = connected_components(coo_matrix((np.ones(len(ends[0])), ends), shape=(size, size)), directed=False)
    shown = cells.by_context(cells.impressions)
    by_label = np.bincount(label, shown)
    is_linked = label == by_label.argmax()
    share = float(shown[is_linked].sum() / max(shown.sum(), 1.0))
    inside = moved.select(is_linked[moved.contexts])
    return Linked(inside, is_linked, share, len(np.unique(inside.pairs)))


def require_linked(linked: Linked, model: str) -> None:
    """Refuse a log that cannot tell examination from attraction.

    Raises:
        DataError: no result changes its position, or positions with a fair share of the impressions are in no known
            relation to the others.
    """
    if 1.0 - linked.share <= _UNLINKED_SHARE:
        return
    if linked.num_moved == 0:
        found = "no clicked result ever changes its position for its query (all lists of a query are in one order)"
    else:
        apart = int((~linked.is_linked).sum())
        found = (
            f"positions with {1.0 - linked.share:.0%} of the impressions ({apart} of {len(linked.is_linked)} classes) "
            f"are never linked to the others by a clicked result that was shown in both; {linked.num_moved:,} changed "
            "their position, and more sessions may link all (trainer=debug and data.limit_sessions read few)"
        )
    raise DataError(
        f"data.clicks ({model}): the training sessions cannot tell how often a position is examined from how good the "
        f"results there are: {found}. Give propensities (data/clicks=given), name a batch that was shown in random "
        "order (data/clicks=randomised), swap results in a part of the traffic, or choose data/clicks=naive or window."
    )


def fit_examination(cells: Cells, linked: Linked) -> tuple[NDArray[np.float64], int]:
    """`float64[contexts]`: probability of examination relative to the highest, and how many steps that took."""
    moved = linked.moved
    weight, steps = _climb(moved)
    none = (moved.by_context(moved.clicks) == 0) & linked.is_linked
    if none.any():
        expected = _expected(moved, np.where(none, 0.0, weight))
        weight = np.where(none, _HALF_A_CLICK / np.maximum(expected, 1.0), weight)
    known = linked.is_linked & np.isfinite(weight) & (weight > 0)
    if not known.any():  # a single context
        return np.ones(cells.num_contexts), steps
    weight = _from_neighbours(weight, known)
    clicks = cells.by_context(cells.clicks)
    often = known & (clicks >= min(_MANY_CLICKS, clicks[known].max()))
    return np.minimum(weight / weight[often].max(), 1.0), steps


def fit_attraction(
    cells: Cells, examination: NDArray[np.float64], prior_impressions: float
) -> tuple[NDArray[np.float64], float]:
    """(`float64[pairs]` probability of a click once examined, the mean over all impressions).

    Clicks over expected examinations, shrunk towards the mean by so many examined impressions.
    """
    examined = cells.by_pair(cells.impressions * examination[cells.contexts])
    clicks = cells.by_pair(cells.clicks)
    mean = float(np.clip(clicks.sum() / max(examined.sum(), 1e-12), 1e-6, 1.0 - 1e-6))
    values = (clicks + prior_impressions * mean) / (examined + prior_impressions)
    return np.clip(values, 1e-6, 1.0 - 1e-6), mean


def _expected(cells: Cells, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """`float64[contexts]`: clicks that each context would have if all of it were examined."""
    examined = cells.by_pair(cells.impressions * weight[cells.contexts])
    attraction = np.divide(cells.by_pair(cells.clicks), examined, out=np.zeros(cells.num_pairs), where=examined > 0)
    return cells.by_context(cells.impressions * attraction[cells.pairs])


def _climb(cells: Cells) -> tuple[NDArray[np.float64], int]:
    """`float64[contexts]` up to a factor; 0 for a context without a click, NaN for one without an impression."""
    clicks = cells.by_context(cells.clicks)
    weight = np.where(clicks > 0, 1.0, 0.0)
    steps = 0
    used = int((clicks > 0).sum())
    for _ in range(_FIRST_STEPS if used <= _MOST_NEWTON_CONTEXTS else _LONG_CLIMB):
        expected = _expected(cells, weight)
        following = np.divide(clicks, expected, out=np.zeros_like(weight), where=expected > 0)
        following /= max(following.max(), 1e-300)
        moved = np.abs(following - weight).max(initial=0.0)
        weight, steps = following, steps + 1
        if moved < _TOLERANCE:
            break
    if 1 < used <= _MOST_NEWTON_CONTEXTS:
        weight, more = _newton(cells, weight)
        steps += more
    shown = cells.by_context(cells.impressions) > 0
    return np.where(shown, weight, np.nan), steps


def _newton(cells: Cells, weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Newton's steps on the logarithms of the weights, halved where the likelihood falls."""
    from scipy.sparse import csr_matrix

    used = np.flatnonzero(weight > 0)
    number = np.full(cells.num_contexts, -1)
    number[used] = np.arange(len(used))
    kept = cells.select(weight[cells.contexts] > 0)
    places = number[kept.contexts]
    totals = kept.by_pair(kept.clicks)
    clicks = np.asarray(np.bincount(places, kept.clicks, len(used)), dtype=np.float64)
    logs = np.log(weight[used])
    likelihood, share = _likelihood(kept, places, logs, totals, clicks)
    steps, move = 0, np.full(len(used), np.inf)
    while steps < _NEWTON_STEPS and np.abs(move).max() > _TOLERANCE:
        steps += 1
        expected = np.bincount(places, share * totals[kept.pairs], len(used))
        slope = clicks - expected
        rows = csr_matrix((share * np.sqrt(totals[kept.pairs]), (kept.pairs, places)))
        curvature = np.diag(expected) - (rows.T @ rows).toarray()
        # The logarithms are known up to a constant: the first stays.
        move = np.zeros(len(used))
        move[1:] = np.linalg.lstsq(curvature[1:, 1:], slope[1:], rcond=None)[0]
        move *= min(1.0, 2.0 / max(np.abs(move).max(), 1e-12))
        for _ in range(30):
            tried, share_there = _likelihood(kept, places, logs + move, totals, clicks)
            if tried >= likelihood - 1e-9 * abs(likelihood):
                break
            move /= 2
        logs, likelihood, share = logs + move, tried, share_there
    found = np.zeros(cells.num_contexts)
    found[used] = np.exp(logs - logs.max())
    return found, steps


def _likelihood(
    cells: Cells,
    places: NDArray[np.int64],
    logs: NDArray[np.float64],
    totals: NDArray[np.float64],
    clicks: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """(logarithm of the likelihood, `float64[cells]` share of the pair's examined impressions that lie in the cell)."""
    examined = cells.impressions * np.exp(logs)[places]
    sums = cells.by_pair(examined)
    known = totals > 0
    value = float(clicks @ logs - (totals[known] * np.log(sums[known])).sum())
    return value, examined / sums[cells.pairs]


def _from_neighbours(weight: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weights, with those that are not known taken from the nearest known context, the one before first."""
    places = np.flatnonzero(known)
    everywhere = np.arange(len(weight))
    before = np.searchsorted(places, everywhere, side="right") - 1
    return np.where(known, weight, weight[places[np.maximum(before, 0)]])
