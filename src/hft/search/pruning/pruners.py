"""When a trial is hopeless, judged by the values it reported so far and those of its siblings. No state, no clock.

Everything is a function of the reports alone, so that a trial that runs again gets the same verdict. A trial is
compared with its siblings at the step of its last report; siblings that failed say nothing, nor do reports without a
value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

from hft.search.settings import PrunerSettings
from hft.search.trial import State


@dataclass(frozen=True)
class Reports:
    """What a trial reported.

    Args:
        number: of the trial.
        state: of the trial; of a running one that is judged: running.
        values: by step, in the order of the reports; NaN and infinite values are left out by whoever reads them.
        count: reports so far, those without a value among them.
    """

    number: int
    state: State
    values: Mapping[int, float]
    count: int


def verdict(pruner: PrunerSettings, own: Reports, siblings: Sequence[Reports], sign: float) -> str | None:
    """Why the trial should be stopped, in words; None: it goes on.

    Args:
        pruner: what stops it.
        own: reports of the trial, the last one just made.
        siblings: other trials of the same sweep and stage.
        sign: -1.0 where higher is better, else 1.0.
    """
    if not own.values:
        return None
    step = list(own.values)[-1]
    others = [sibling for sibling in siblings if sibling.state != "failed" and sibling.number != own.number]
    if pruner.kind == "median":
        return _by_median(pruner, own, others, step, sign)
    if pruner.kind == "asha":
        return _by_halving(pruner, own, others, step, sign, pruner.min_reports)
    bracket = bracket_of(pruner, own.number)
    within = [sibling for sibling in others if bracket_of(pruner, sibling.number) == bracket]
    return _by_halving(pruner, own, within, step, sign, first_rung(pruner, bracket))


def _by_median(pruner: PrunerSettings, own: Reports, others: Sequence[Reports], step: int, sign: float) -> str | None:
    """The median stopping rule: its best value so far is worse than the median of the finished trials' values at
    this step (Golovin et al., "Google Vizier", KDD 2017, section 3.2.2; raw values instead of running averages).
    """
    if own.count < pruner.min_reports:
        return None
    finished = [other.values[step] for other in others if other.state == "done" and step in other.values]
    if len(finished) < pruner.min_trials:
        return None
    middle = median(finished)
    best = min(own.values.values(), key=lambda value: sign * value)
    if sign * best <= sign * middle:
        return None
    return f"report {own.count}: {best:g} is worse than the median {middle:g} of {len(finished)} trials"


def _by_halving(
    pruner: PrunerSettings, own: Reports, others: Sequence[Reports], step: int, sign: float, first: int
) -> str | None:
    """Asynchronous successive halving, in its stopping form: a trial that reaches a rung goes on only if it is
    among the best 1/eta of all that have reached it so far (Li et al., "A System for Massively Parallel
    Hyperparameter Tuning", MLSys 2020, algorithm 2). Fewer than eta there judge nobody.
    """
    if not is_rung(own.count, first, pruner.reduction_factor) or step not in own.values:
        return None
    at_rung = sorted(sign * other.values[step] for other in others if step in other.values)
    count = len(at_rung) + 1
    if count < pruner.reduction_factor:
        return None
    mine = sign * own.values[step]
    better = sum(value < mine for value in at_rung)
    places = count // pruner.reduction_factor
    if better < places:
        return None
    return f"report {own.count}: {better} of {count - 1} trials were better at this rung, {places} go on"


def is_rung(report: int, first: int, factor: int) -> bool:
    """Whether a report (from 1) is one of first, first * factor, first * factor**2, ..."""
    rung = first
    while rung < report:
        rung *= factor
    return rung == report


def n_brackets(pruner: PrunerSettings) -> int:
    """How many brackets hyperband has: s_max + 1, s_max = floor(log_eta(max_reports / min_reports))."""
    reports, count = pruner.min_reports, 1
    while reports * pruner.reduction_factor <= (pruner.max_reports or 0):
        reports *= pruner.reduction_factor
        count += 1
    return count


def bracket_of(pruner: PrunerSettings, number: int) -> int:
    """The bracket of a trial, by its number alone.

    Bracket s (0: begins to judge last, and stops nobody before the last rung) gets shares as in Hyperband:
    n_s = ceil((s_max + 1) / (s + 1) * eta**s) of each round of trials (Li et al., JMLR 18 (2018), algorithm 1). Within
    a round the numbers are dealt out so that every bracket fills at its own even pace.
    """
    dealt = _round(n_brackets(pruner), pruner.reduction_factor)
    return dealt[number % len(dealt)]


def first_rung(pruner: PrunerSettings, bracket: int) -> int:
    """The report (from 1) at which a bracket of hyperband begins to judge: min_reports * eta**(s_max - s)."""
    return int(pruner.min_reports * pruner.reduction_factor ** (n_brackets(pruner) - 1 - bracket))


@lru_cache(maxsize=16)
def _round(count: int, factor: int) -> tuple[int, ...]:
    """Brackets of one round of trials, each spread evenly over it."""
    shares = [math.ceil(count / (bracket + 1) * factor**bracket) for bracket in range(count)]
    dealt: list[int] = []
    for turn in range(1, sum(shares) + 1):
        behind = [share * turn / sum(shares) - dealt.count(bracket) for bracket, share in enumerate(shares)]
        dealt.append(max(range(count), key=lambda bracket: (behind[bracket], bracket)))
    return tuple(dealt)
