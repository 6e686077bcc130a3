"""Values of different origins made comparable: by their ranks within each origin."""

from __future__ import annotations

from collections.abc import Sequence


def normal_scores(losses: Sequence[float]) -> list[float]:
    """Scores of losses of one origin by rank: van der Waerden's, the normal quantile of rank / (n + 1).

    A trial that did better than nine tenths of its own iteration gets the same score in every iteration, whatever
    the metric's level there. A single loss gets 0, the middle. Equal losses share their mean rank.

    Args:
        losses: finite, lower is better.

    Returns:
        lower is better.

    Source: B. L. van der Waerden, Order tests for the two-sample problem and their power, 1952.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    if not losses:
        return []
    return [float(score) for score in ndtri(rankdata(losses) / (len(losses) + 1))]


def union_of_origins(past: Sequence[float], present: Sequence[float]) -> tuple[list[float], list[float]]:
    """Past and present losses on one scale, each ranked among its own.

    Args:
        past: losses of the earlier iteration.
        present: losses of this one so far; ranks change as more come.
    """
    return normal_scores(past), normal_scores(present)
