"""Queries put into classes: macro-F1, the worst classes and what they are taken for, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hft.metrics.comparison import FEW_QUERIES

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Interval = tuple[float, float]

BOOTSTRAP_DRAWS = 2000
# Counts held at once while resamples are drawn: some 30 MB.
_CHUNK_CELLS = 4_000_000
# Of the standard normal distribution, for 95%.
_Z = 1.959963984540054


def macro_f1(true: Ints, predicted: Ints, num_classes: int) -> float:
    """Mean of the classes' F1 over the classes that are true of some query.

    F1 = 2 tp / (queries of the class + queries taken for it). Source: Opitz and Burst, "Macro F1 and Macro F1", 2019,
    equation 2 (the averaged F1, as scikit-learn has it over these labels).

    Args:
        true, predicted: int64[queries], classes from 0.
        num_classes: of all.
    """
    weights = np.ones((1, len(true)))
    return float(_macro_f1s(weights, true, predicted, num_classes)[0])


def compared_macro_f1(
    true: tuple[Ints, Ints | None], predicted: tuple[Ints, Ints | None], num_classes: int, *, seed: int = 0
) -> dict[str, Any]:
    """Macro-F1 of the starting and of the tuned model over the same queries, with 95% bootstrap intervals.

    A resample is a multinomial draw over the distinct (true, predicted) combinations, which is a draw of queries; of
    fewer than FEW_QUERIES queries see `_resampled`.

    Args:
        true: int64[queries] for each of the two models; they differ where a query has several true classes. None for
            the second: there is no tuned model.
        predicted: the same, of what the models took the queries for.
        num_classes: of all.
        seed: of the draws.

    Returns:
        start, start_interval, and of two models tuned, tuned_interval, difference, interval; else None there.
    """
    has_tuned = true[1] is not None and predicted[1] is not None
    columns = [part for part in (true[0], predicted[0], true[1], predicted[1]) if part is not None]
    cells, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    sides = [(cells[:, 0], cells[:, 1])] + ([(cells[:, 2], cells[:, 3])] if has_tuned else [])
    means = [float(_macro_f1s(counts[None, :].astype(float), *side, num_classes)[0]) for side in sides]
    total = int(counts.sum())
    spread = _resampled(sides, counts, num_classes, np.random.default_rng([seed, 0x6631]), is_few=total < FEW_QUERIES)
    found: dict[str, Any] = {"start": means[0], "start_interval": _interval(*spread[0])}
    if has_tuned:
        (start_low, start_high), (tuned_low, tuned_high) = spread
        found |= {"tuned": means[1], "tuned_interval": _interval(tuned_low, tuned_high)}
        found |= {"difference": means[1] - means[0]}
        found |= {"interval": _interval(tuned_low - start_high, tuned_high - start_low)}
    else:
        found |= {"tuned": None, "tuned_interval": None, "difference": None, "interval": None}
    return found


def _resampled(
    sides: list[tuple[Ints, Ints]], counts: Ints, num_classes: int, random: np.random.Generator, *, is_few: bool
) -> list[tuple[Values, Values]]:
    """For each side, float64[draws] macro-F1 for the lower and for the upper end of its interval.

    Of many queries both are those of multinomial resamples. Of few, resamples see too little: as in
    hft.metrics.mean_bound they are those of the Bayesian bootstrap with one query more of the rarest class, which was
    missed for the lower end, and found for the upper one.

    Args:
        sides: int64[cells] true and predicted classes of each model.
        counts: int64[cells], queries of each combination.
        num_classes: of all.
        random: of the draws.
        is_few: whether there are few queries.
    """
    size = max(1, _CHUNK_CELLS // max(len(counts), num_classes))
    drawn: list[tuple[list[Values], list[Values]]] = [([], []) for _ in sides]
    for begin in range(0, BOOTSTRAP_DRAWS, size):
        draws = min(size, BOOTSTRAP_DRAWS - begin)
        if is_few:
            weights = random.standard_gamma(np.append(counts, 1), size=(draws, len(counts) + 1))
        else:
            weights = random.multinomial(counts.sum(), counts / counts.sum(), size=draws).astype(np.float64)
        for (true, predicted), ends in zip(sides, drawn, strict=True):
            if not is_few:
                of_both = _macro_f1s(weights, true, predicted, num_classes)
                ends[0].append(of_both)
                ends[1].append(of_both)
                continue
            queries = np.bincount(true, weights=counts, minlength=num_classes)
            rarest = int(np.where(queries > 0, queries, np.inf).argmin())
            for values, answer in zip(ends, (num_classes, rarest), strict=True):
                more = np.append(true, rarest), np.append(predicted, answer)
                values.append(_macro_f1s(weights, *more, num_classes + 1))
    return [(np.concatenate(low), np.concatenate(high)) for low, high in drawn]


@dataclass(frozen=True)
class ClassScores:
    """What became of the queries of one class.

    Args:
        name: of the class.
        queries: of the class.
        recall: share of them that were taken for it, with its 95% Wilson interval.
        precision: share of the queries taken for it that are of it; None where none was.
        f1: of the two.
        confused_with: (other class, queries of this class taken for it, share, 95% Wilson interval of the share), most
            first.
    """

    name: str
    queries: int
    recall: float
    recall_interval: Interval
    precision: float | None
    f1: float
    confused_with: tuple[tuple[str, int, float, Interval], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        confused = [
            {"name": name, "queries": queries, "share": share, "interval": list(interval)}
            for name, queries, share, interval in self.confused_with
        ]
        return {
            "name": self.name,
            "queries": self.queries,
            "recall": self.recall,
            "recall_interval": list(self.recall_interval),
            "precision": self.precision,
            "f1": self.f1,
            "confused_with": confused,
        }


def worst_classes(
    true: Ints, predicted: Ints, names: Sequence[str], *, count: int = 10, confusions: int = 3
) -> list[ClassScores]:
    """The classes of the lowest F1, worst first, with what their queries were taken for.

    Args:
        true, predicted: int64[queries], classes from 0.
        names: of the classes.
        count: how many classes.
        confusions: how many other classes are named for each.
    """
    of_class = np.bincount(true, minlength=len(names))
    taken_for = np.bincount(predicted, minlength=len(names))
    right = np.bincount(true[true == predicted], minlength=len(names))
    f1 = np.divide(2.0 * right, of_class + taken_for, out=np.zeros(len(names)), where=of_class + taken_for > 0)
    there = np.flatnonzero(of_class)
    order = there[np.lexsort((-of_class[there], f1[there]))][:count]
    found = []
    for number in order.tolist():
        queries = int(of_class[number])
        others = np.bincount(predicted[(true == number) & (predicted != number)], minlength=len(names))
        most = [other for other in np.argsort(-others, kind="stable")[:confusions].tolist() if others[other]]
        found.append(
            ClassScores(
                name=names[number],
                queries=queries,
                recall=float(right[number]) / queries,
                recall_interval=wilson_interval(int(right[number]), queries),
                precision=float(right[number]) / int(taken_for[number]) if taken_for[number] else None,
                f1=float(f1[number]),
                confused_with=tuple(
                    (names[m], int(others[m]), int(others[m]) / queries, wilson_interval(int(others[m]), queries))
                    for m in most
                ),
            )
        )
    return found


def wilson_interval(hits: int, trials: int) -> Interval:
    """95% score interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    share, square = hits / trials, _Z * _Z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z * np.sqrt(share * (1 - share) / trials + square / (4 * trials * trials)) / (1 + square / trials)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _macro_f1s(weights: Values, true: Ints, predicted: Ints, num_classes: int) -> Values:
    """float64[draws]: macro-F1 where each (true, predicted) counts float64[draws, cells] times."""
    cells = np.arange(len(true))
    shape = (len(true), num_classes)
    ones = np.ones(len(true))
    of_class: Values = np.asarray(weights @ sparse.csr_array((ones, (cells, true)), shape=shape))
    taken_for: Values = np.asarray(weights @ sparse.csr_array((ones, (cells, predicted)), shape=shape))
    hits = (true == predicted).astype(float)
    right: Values = np.asarray(weights @ sparse.csr_array((hits, (cells, true)), shape=shape))
    sizes = of_class + taken_for
    f1 = np.divide(2.0 * right, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    there = of_class > 0
    means: Values = np.divide((f1 * there).sum(axis=1), there.sum(axis=1))
    return means


def _interval(low: Values, high: Values) -> list[float]:
    return [float(np.quantile(low, 0.025)), float(np.quantile(high, 0.975))]
