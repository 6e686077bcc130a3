"""RankedLists: the relevance of what a ranking put where, for all queries at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hft.errors import TrainingError

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class RankedLists:
    """What each query's ranking is worth, position by position. All that a metric needs.

    A gain above 0 is relevant; gains of 0 and below count as 0.

    Args:
        gains: float32[queries, depth], the gain at each position, best-ranked first, 0 past the list's end.
        ideal_gains: float32[queries, ideal depth], every known gain of the query, falling, padded with 0.
            Covers relevant items that the ranking does not hold.
        num_relevant: int64[queries], relevant items known for the query, ranked or not.
    """

    gains: npt.NDArray[np.float32]
    ideal_gains: npt.NDArray[np.float32]
    num_relevant: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.gains)


def rank_lists(
    scores: npt.ArrayLike,
    gains: npt.ArrayLike,
    offsets: npt.ArrayLike,
    *,
    higher_is_better: bool = True,
    seed: int = 0,
) -> RankedLists:
    """Ranks each query's own list. The list is all there is: it gives the ideal ranking as well.

    Equal scores are put in an order drawn from the seed, so that a ranker that cannot tell results apart gets
    the value of a random ranking and not that of the file's order.

    Args:
        scores: float[results], flat over the lists.
        gains: float[results], the gain of each result.
        offsets: int[queries + 1], where each list begins; the last one is the number of results.
        higher_is_better: False where the score is a distance.
        seed: of the draw among equals.

    Raises:
        TrainingError: if a score is not a number.
        ValueError: if the lengths do not fit.
    """
    flat_scores, flat_gains = np.asarray(scores), _clean_gains(gains)
    bounds = np.asarray(offsets, dtype=np.int64)
    if len(flat_scores) != len(flat_gains) or bounds[-1] != len(flat_scores):
        raise ValueError(
            f"scores ({len(flat_scores)}), gains ({len(flat_gains)}) and offsets (to {bounds[-1]}) do not fit"
        )
    query_of = query_of_results(bounds)
    order = order_within(flat_scores, query_of, higher_is_better=higher_is_better, seed=seed)
    # The order keeps queries together, so a result's place in its list is its place in the order.
    place = np.arange(len(order)) - bounds[query_of]
    return RankedLists(
        gains=_padded(flat_gains[order], query_of, place, len(bounds) - 1),
        ideal_gains=_ideal(flat_gains, query_of, bounds),
        num_relevant=_count_relevant(flat_gains, query_of, len(bounds) - 1),
    )


def rank_matrix(
    top_rows: npt.ArrayLike,
    offsets: npt.ArrayLike,
    judged: npt.ArrayLike,
    grades: npt.ArrayLike,
    *,
    pool: npt.ArrayLike | None = None,
) -> RankedLists:
    """Looks up the gains of each query's best rows of a corpus. Rows that nobody judged are worth 0.

    Args:
        top_rows: int[queries, depth], rows of the ItemsSet, best first; negative where the ranking has ended.
            Deep enough for every metric's cutoff (see `top_rows` for ties).
        offsets: int[queries + 1], where the judgements of each query begin.
        judged: int[judgements], the judged rows, flat.
        grades: float[judgements], their gains.
        pool: int[rows], the rows that were ranked; judgements outside are left out, as no ranking could have
            found them. None: the whole corpus was ranked.

    A row that a query judges more than once counts once, with its best grade.

    Raises:
        ValueError: if the lengths do not fit, or a query ranks the same row twice.
    """
    rows = np.asarray(top_rows, dtype=np.int64)
    bounds = np.asarray(offsets, dtype=np.int64)
    flat_judged, flat_grades = np.asarray(judged, dtype=np.int64), _clean_gains(grades)
    if len(rows) != len(bounds) - 1 or bounds[-1] != len(flat_judged) or len(flat_judged) != len(flat_grades):
        raise ValueError(
            f"top_rows ({len(rows)} queries), offsets ({len(bounds) - 1} queries, to {bounds[-1]}), "
            f"judged ({len(flat_judged)}) and grades ({len(flat_grades)}) do not fit"
        )
    query_of, rows_judged, gains = _once_each(query_of_results(bounds), flat_judged, flat_grades)
    if pool is not None:
        inside = np.isin(rows_judged, np.asarray(pool))
        query_of, rows_judged, gains = query_of[inside], rows_judged[inside], gains[inside]
    bounds = np.searchsorted(query_of, np.arange(len(bounds))).astype(np.int64)
    return RankedLists(
        gains=_look_up(rows, query_of, rows_judged, gains),
        ideal_gains=_ideal(gains, query_of, bounds),
        num_relevant=_count_relevant(gains, query_of, len(rows)),
    )


def top_rows(
    scores: npt.ArrayLike,
    depth: int,
    *,
    rows: npt.ArrayLike | None = None,
    higher_is_better: bool = True,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """The best rows of each query, best first, equal scores in an order drawn from the seed.

    Args:
        scores: float[queries, items].
        depth: how many to keep a query; no more than there are items.
        rows: int[items], the corpus row of each column; None: the columns are the rows.
        higher_is_better: False where the score is a distance.
        seed: of the draw among equals.

    Returns:
        int64[queries, min(depth, items)].

    Raises:
        TrainingError: if a score is not a number.
    """
    matrix = np.asarray(scores)
    matrix = matrix if higher_is_better else -matrix
    num_queries, num_items = matrix.shape
    kept = min(depth, num_items)
    # What is not below the kept-th best score is a candidate: exactly `kept` of them but for ties.
    threshold = np.partition(matrix, num_items - kept, axis=1)[:, num_items - kept]
    # Written as "not below" so that NaN stays in and is found.
    query_of, columns = np.nonzero(~(matrix < threshold[:, None]))
    order = order_within(matrix[query_of, columns], query_of, higher_is_better=True, seed=seed)
    starts = np.searchsorted(query_of, np.arange(num_queries))
    best = columns[order[starts[:, None] + np.arange(kept)]]
    return best.astype(np.int64) if rows is None else np.asarray(rows, dtype=np.int64)[best]


def query_of_results(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[results]: the query that each result of ragged lists belongs to."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def order_within(scores: Floats, query_of: Ints, *, higher_is_better: bool, seed: int) -> npt.NDArray[np.int64]:
    """int64[results]: an order that keeps queries together, best score first, equals as drawn from the seed.

    Raises:
        TrainingError: if a score is not a number.
    """
    if np.isnan(scores).any():
        raise TrainingError(
            f"{int(np.isnan(scores).sum())} of {scores.size} scores to rank are not numbers (NaN): the "
            "model's vectors have broken down. Lower the learning rates (params.items_lr, params.query_lr) "
            "or clip harder (trainer.gradient_clip_val)."
        )
    draw = np.random.default_rng(seed).random(len(scores))
    return np.lexsort((draw, -scores if higher_is_better else scores, query_of))


def _clean_gains(gains: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.maximum(np.nan_to_num(np.asarray(gains, dtype=np.float32)), 0.0)


def _padded(values: Floats, query_of: Ints, place: Ints, num_queries: int) -> npt.NDArray[np.float32]:
    depth = int(place.max()) + 1 if len(place) else 0
    padded = np.zeros((num_queries, depth), dtype=np.float32)
    padded[query_of, place] = values
    return padded


def _ideal(gains: Floats, query_of: Ints, bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    order = np.lexsort((-gains, query_of))
    place = np.arange(len(order)) - bounds[query_of]
    # Only gains above 0 count, and they come first: trailing columns of zeros would only cost memory.
    relevant = gains[order] > 0
    return _padded(gains[order][relevant], query_of[relevant], place[relevant], len(bounds) - 1)


def _count_relevant(gains: Floats, query_of: Ints, num_queries: int) -> npt.NDArray[np.int64]:
    return np.bincount(query_of[gains > 0], minlength=num_queries).astype(np.int64)


def _once_each(query_of: Ints, judged: Ints, grades: Floats) -> tuple[Ints, Ints, Floats]:
    """Judgements by query, then row; of those on the same row, the best."""
    order = np.lexsort((-grades, judged, query_of))
    query_of, judged, grades = query_of[order], judged[order], grades[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (query_of[1:] != query_of[:-1]) | (judged[1:] != judged[:-1])
    return query_of[first], judged[first], grades[first]


def _look_up(rows: Ints, query_of: Ints, judged: Ints, grades: Floats) -> npt.NDArray[np.float32]:
    """float32[queries, depth]: the grade of (query, row), 0 where there is none, by binary search."""
    stride = max(int(rows.max(initial=0)), int(judged.max(initial=0))) + 1
    keys = query_of * stride + judged
    wanted = np.arange(len(rows))[:, None] * stride + rows
    _refuse_repeats(rows)
    if not len(keys):
        return np.zeros(rows.shape, dtype=np.float32)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    hit = (keys[found] == wanted) & (rows >= 0)
    return np.where(hit, grades[found], 0.0).astype(np.float32)


def _refuse_repeats(rows: Ints) -> None:
    rising = np.sort(rows, axis=1)
    if ((rising[:, 1:] == rising[:, :-1]) & (rising[:, 1:] >= 0)).any():
        raise ValueError("a query ranks the same row twice")
