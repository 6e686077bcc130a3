"""One plain sentence on what was measured: what came of the fine-tuning, or is there room to gain?"""

from __future__ import annotations

from collections.abc import Mapping

from hft.metrics.comparison import Comparison
from hft.metrics.learning import Direction

# Differences with a p below this are called real.
SIGNIFICANT_BELOW = 0.05
# A metric of at most 1 that stands here has next to nothing left to gain.
NEAR_PERFECT = 0.95
# With fewer queries the outcome of an evaluation hangs on single ones.
MANY_QUERIES = 50


def fine_tuning_outcome(
    main: Comparison, baselines: Mapping[str, float], main_metric: str, direction: Direction
) -> str:
    """What came of the fine-tuning, and the best baseline where it beats the tuned model.

    Args:
        main: the main metric of both models on the test split.
        baselines: the main metric by baseline.
        main_metric: its name.
        direction: whether a higher or a lower value of it is better.

    Raises:
        ValueError: if there is no tuned model.
    """
    if main.tuned is None or main.difference is None or main.interval is None or main.p is None:
        raise ValueError("an outcome needs a tuned model")
    low, high = main.interval
    numbers = (
        f"{main_metric} {main.start:.3f} -> {main.tuned:.3f} ({main.difference:+.3f}, 95% {low:+.3f} to "
        f"{high:+.3f}, p {format_p(main.p)}, {main.queries:,} queries)"
    )
    if main.p >= SIGNIFICANT_BELOW:
        said = f"No clear difference between the starting and the tuned model: {numbers}."
    elif _sign(direction) * main.difference > 0:
        said = f"The tuned model is better: {numbers}."
    else:
        said = f"The tuned model is worse: {numbers}."
    said += _which_decides(main.p, low, high) + _few_queries(main.queries)
    best = _best(baselines, direction)
    if best is not None and _sign(direction) * (baselines[best] - main.tuned) > 0:
        said += f" The baseline {best} ({baselines[best]:.3f}) still scores better."
    return said


def evaluation_advice(main: Comparison, baselines: Mapping[str, float], main_metric: str, direction: Direction) -> str:
    """Whether there is room to gain, from one model's value, its interval and the baselines.

    Args: as of `fine_tuning_outcome`; the comparison needs no tuned model.
    """
    return _advice(main, baselines, main_metric, direction) + _few_queries(main.queries)


def _advice(main: Comparison, baselines: Mapping[str, float], main_metric: str, direction: Direction) -> str:
    sign = _sign(direction)
    worst, best_bound = sorted(main.start_interval, key=lambda bound: sign * bound)
    measured = f"{main_metric} {main.start:.3f}, 95% {main.start_interval[0]:.3f} to {main.start_interval[1]:.3f}"
    chance = baselines.get("random")
    if chance is not None and sign * (worst - chance) <= 0:
        return (
            f"The model is no better than chance here ({measured}; random {chance:.3f}): it has everything to "
            "gain. Check first that its language and its prompts fit the texts."
        )
    best = _best(baselines, direction)
    if best is not None and sign * (baselines[best] - best_bound) > 0:
        return (
            f"Room to gain: the baseline {best} ({baselines[best]:.3f}) beats the model ({measured}). "
            f"Fine-tune, or use {best}.{_popularity_note(best)}"
        )
    if best is not None and sign * (baselines[best] - worst) > 0:
        return (
            f"Room to gain: the model ({measured}) does no better than the baseline {best} "
            f"({baselines[best]:.3f}). Fine-tuning is worth a try.{_popularity_note(best)}"
        )
    if direction == "maximize" and main.start >= NEAR_PERFECT:
        return f"Little room: the model is near perfect already ({measured})."
    held = "The model beats every baseline" if best is not None else "There is no baseline to hold it against"
    return f"{held} ({measured}). Fine-tune to see how much of the rest can be had."


def format_p(p: float) -> str:
    """`0.0312`, or `< 0.0001`."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _which_decides(p: float, low: float, high: float) -> str:
    """Says so where the interval and the p, two methods, fall on two sides of the line."""
    if (p < SIGNIFICANT_BELOW) == (low > 0 or high < 0):
        return ""
    interval, of_p = ("leaves out", "is not") if p >= SIGNIFICANT_BELOW else ("holds", "is")
    return f" The interval {interval} 0, but p {of_p} below {SIGNIFICANT_BELOW}, and p decides."


def _few_queries(queries: int) -> str:
    return f" These are few queries ({queries}): others could say something else." if queries < MANY_QUERIES else ""


def _popularity_note(best: str) -> str:
    if best != "item_popularity":
        return ""
    return " What a tuned model gains here can be popularity alone: look at items that training has not seen."


def _sign(direction: Direction) -> float:
    return 1.0 if direction == "maximize" else -1.0


def _best(baselines: Mapping[str, float], direction: Direction) -> str | None:
    return max(baselines, key=lambda name: _sign(direction) * baselines[name]) if baselines else None
