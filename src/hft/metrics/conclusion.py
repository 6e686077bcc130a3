"""One plain sentence on what was measured: what came of the fine-tuning, or is there room to gain?"""

from __future__ import annotations

from collections.abc import Mapping

from hft.metrics.comparison import FEW_QUERIES, SIGNIFICANT_BELOW, Comparison
from hft.metrics.learning import Direction

# A metric of at most 1 that stands here has next to nothing left to gain.
NEAR_PERFECT = 0.95


def fine_tuning_outcome(
    main: Comparison,
    baselines: Mapping[str, float],
    main_metric: str,
    direction: Direction,
    leads: Mapping[str, Comparison] | None = None,
) -> str:
    """What came of the fine-tuning, and the best baseline where it beats the tuned model.

    Args:
        main: the main metric of both models on the test split.
        baselines: the main metric by baseline.
        main_metric: its name.
        direction: whether a higher or a lower value of it is better.
        leads: the tuned model against each baseline, over the same queries.

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
    said += _few_queries(main.queries)
    best = _best(baselines, direction)
    if best is not None and _sign(direction) * (baselines[best] - main.tuned) > 0:
        said += f" The baseline {best} ({baselines[best]:.3f}) {_how_far(best, leads or {}, 'still scores better')}."
    return said


def evaluation_advice(
    main: Comparison,
    baselines: Mapping[str, float],
    main_metric: str,
    direction: Direction,
    leads: Mapping[str, Comparison] | None = None,
) -> str:
    """Whether there is room to gain, from one model's value, its interval and the baselines.

    Args: as of `fine_tuning_outcome`; the comparison needs no tuned model.
    """
    return _advice(main, baselines, main_metric, direction, leads or {}) + _few_queries(main.queries)


def _advice(
    main: Comparison,
    baselines: Mapping[str, float],
    main_metric: str,
    direction: Direction,
    leads: Mapping[str, Comparison],
) -> str:
    sign = _sign(direction)
    worst, best_bound = sorted(main.start_interval, key=lambda bound: sign * bound)
    measured = f"{main_metric} {main.start:.3f}, 95% {main.start_interval[0]:.3f} to {main.start_interval[1]:.3f}"
    chance = baselines.get("random")
    if chance is not None and not _leads("random", leads, sign, sign * (worst - chance) > 0):
        return (
            f"The model is no better than chance here ({measured}; random {chance:.3f}): it has everything to "
            "gain. Check first that its language and its prompts fit the texts."
        )
    best = _best(baselines, direction)
    if best is not None and _leads(best, leads, -sign, sign * (baselines[best] - best_bound) > 0):
        return (
            f"Room to gain: the baseline {best} ({baselines[best]:.3f}) beats the model ({measured}). "
            f"Fine-tune, or use {best}.{_popularity_note(best)}"
        )
    if best is not None and not _leads(best, leads, sign, sign * (baselines[best] - worst) <= 0):
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


def _leads(baseline: str, leads: Mapping[str, Comparison], sign: float, unpaired: bool) -> bool:
    """Whether the model is shown to be above (sign 1) or below (-1) a baseline; `unpaired` where nothing was paired."""
    lead = leads.get(baseline)
    if lead is None or lead.interval is None:
        return unpaired
    low, high = lead.interval
    return low > 0.0 if sign > 0 else high < 0.0


def _how_far(baseline: str, leads: Mapping[str, Comparison], said: str) -> str:
    """What is said of a baseline that is ahead on average, with the interval of its lead."""
    lead = leads.get(baseline)
    if lead is None or lead.interval is None or lead.difference is None:
        return said
    low, high = lead.interval
    if low <= 0.0 <= high:
        said = "cannot be told from it"
    return f"{said} (the tuned model's difference {lead.difference:+.3f}, 95% {low:+.3f} to {high:+.3f})"


def _few_queries(queries: int) -> str:
    return f" These are few queries ({queries}): others could say something else." if queries < FEW_QUERIES else ""


def _popularity_note(best: str) -> str:
    if best != "item_popularity":
        return ""
    return " What a tuned model gains here can be popularity alone: look at items that training has not seen."


def _sign(direction: Direction) -> float:
    return 1.0 if direction == "maximize" else -1.0


def _best(baselines: Mapping[str, float], direction: Direction) -> str | None:
    return max(baselines, key=lambda name: _sign(direction) * baselines[name]) if baselines else None
