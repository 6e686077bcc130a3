"""The gate of a promotion: is a candidate better than the champion, or can these queries not tell?

Pure functions over values a query. A gain is a difference in the direction that is better, so that a metric that is
minimised needs no second set of rules.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hft.errors import ConfigError, DataError
from hft.metrics.mean_bound import lower_bound, spread_of
from hft.settings import PROMOTION_WINDOW

Values = npt.NDArray[np.float64]
Direction = Literal["maximize", "minimize"]
Rule = Literal["superior", "non_inferior"]
Answer = Literal["promoted", "worse", "not better", "cannot tell"]

ALPHA = 0.05
# Chance that a gain as large as assumed is shown by the number of queries that the gate asks for.
POWER = 0.8
# Where more queries than these are needed, their number is of no use to anybody.
_MOST_QUERIES = 10_000_000


@dataclass(frozen=True)
class Gate:
    """What a candidate has to show.

    Args:
        rule: `superior`: it is better than the champion. `non_inferior`: it is worse by less than the margin, than
            the champion and than the best champion ever.
        margin: the loss that `non_inferior` puts up with, in units of the metric; None with `superior`.
        candidate: how many candidates have been held against rivals over these same test queries, this one included;
            from 1.
        alpha: chance that any look within a window promotes a candidate that does not satisfy the rule.
        window: how many sets of test queries in a row it is the chance of.

    Raises:
        ConfigError: a rule that is none, a margin that is missing, not above 0, or of no use to the
            rule, an alpha outside of 0 to 0.5, a window below 1.
    """

    rule: Rule = "superior"
    margin: float | None = None
    candidate: int = 1
    alpha: float = ALPHA
    window: int = PROMOTION_WINDOW

    def __post_init__(self) -> None:
        if self.rule not in ("superior", "non_inferior"):
            raise ConfigError(f"promotion.rule: found {self.rule!r}. Expected superior or non_inferior.")
        if self.rule == "non_inferior" and self.margin is None:
            raise ConfigError(
                "promotion.margin: found null. promotion.rule=non_inferior needs the loss that you would put up with, "
                "in units of the metric: promotion.margin=0.01"
            )
        if self.margin is not None and not self.margin > 0:
            raise ConfigError(f"promotion.margin: found {self.margin}. Expected a number above 0.")
        if self.rule == "superior" and self.margin is not None:
            raise ConfigError(
                f"promotion.margin: found {self.margin:g} with promotion.rule=superior, which knows no margin. It "
                "belongs to promotion.rule=non_inferior: add that, or leave the margin out (promotion.margin=null)."
            )
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"promotion.alpha: found {self.alpha}. Expected a number between 0 and 0.5.")
        if self.window < 1:
            raise ConfigError(f"promotion.window: found {self.window}. Expected a whole number from 1.")

    @property
    def level(self) -> float:
        """Of this look."""
        return level_of_look(self.candidate, self.alpha, self.window)


@dataclass(frozen=True)
class Held:
    """A candidate held against one rival over the same queries.

    Args:
        candidate: mean of its metric.
        rival: mean of the rival's.
        gain: how much better the candidate is, on average; below 0 where it is worse.
        lower: one-sided lower bound of the true gain.
        upper: one-sided upper bound of it.
        queries: with a value.
        changed: of these, where the two differ.
        gains: float64[queries].
        spread: the largest gain or loss that a query can have.
    """

    candidate: float
    rival: float
    gain: float
    lower: float
    upper: float
    queries: int
    changed: int
    gains: Values
    spread: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON, without those a query."""
        return {key: value for key, value in asdict(self).items() if key != "gains"}


@dataclass(frozen=True)
class Verdict:
    """What the gate answers.

    Args:
        answer: in two words at most.
        reason: in one sentence.
        queries_needed: where it cannot tell: queries that would, at the next look; None where it can, or where no
            number of queries that anybody has would.
        is_best: whether the candidate was shown to be better than every champion so far.
    """

    answer: Answer
    reason: str
    queries_needed: int | None = None
    is_best: bool = False

    @property
    def promoted(self) -> bool:
        """Whether the candidate becomes champion."""
        return self.answer == "promoted"


def level_of_look(candidate: int = 1, alpha: float = ALPHA, window: int = PROMOTION_WINDOW) -> float:
    """alpha / window * 6 / (pi^2 candidate^2).

    Each set of test queries has alpha / window, so that those of any `window` sets in a row add up to alpha, and the
    hundredth look is as powerful as the first. The candidates that are held against rivals over one set share its part:
    the sum over k of 1 / k^2 is pi^2 / 6. By the union bound the chance that any look within the window errs is at
    most alpha, however the candidates came about and however the sets overlap. docs/statistics.md compares this with a
    level that is spent for ever, and with procedures for the online false discovery rate.

    Raises:
        ValueError: a candidate below 1.
    """
    if candidate < 1:
        raise ValueError(f"candidates are counted from 1, found {candidate}")
    return alpha / window * 6.0 / (math.pi**2 * candidate**2)


def hold(candidate: npt.ArrayLike, rival: npt.ArrayLike, *, level: float, direction: Direction = "maximize") -> Held:
    """Holds a candidate against one rival.

    The largest loss that a query can have is `spread_of` the values.

    Args:
        candidate: float[queries], its metric; NaN where the query has no value.
        rival: float[queries], the rival's; the same queries in the same order.
        level: of each bound.
        direction: whether higher or lower values are better.

    Raises:
        DataError: no query has a value.
        ValueError: the two do not cover the same queries.
    """
    ours, theirs = np.asarray(candidate, dtype=np.float64), np.asarray(rival, dtype=np.float64)
    if ours.shape != theirs.shape or (np.isnan(ours) != np.isnan(theirs)).any():
        raise ValueError("candidate and rival must hold a value for the same queries")
    known = ~np.isnan(ours)
    if not known.any():
        raise DataError(f"promotion: none of the {len(ours)} queries of the gate split has a value of the metric.")
    ours, theirs = ours[known], theirs[known]
    gains = ours - theirs if direction == "maximize" else theirs - ours
    spread = spread_of(ours, theirs)
    return Held(
        candidate=float(ours.mean()),
        rival=float(theirs.mean()),
        gain=float(gains.mean()),
        lower=lower_bound(gains, level, -spread),
        upper=-lower_bound(-gains, level, -spread),
        queries=len(gains),
        changed=int((gains != 0.0).sum()),
        gains=gains,
        spread=spread,
    )


def decide(gate: Gate, champion: Held, best: Held | None = None) -> Verdict:
    """Whether the candidate becomes champion.

    Args:
        gate: what it has to show; the bounds were made at its level.
        champion: the candidate against the champion (the initial model where there is none).
        best: against the best champion ever; None where the champion is that one.
    """
    is_best = (champion if best is None else best).lower > 0
    if gate.rule == "superior":
        return _superior(gate, champion, is_best)
    return _non_inferior(
        gate, {"champion": champion} if best is None else {"champion": champion, "best": best}, is_best
    )


def queries_needed(
    held: Held, effect: float, level: float, *, threshold: float = 0.0, power: float = POWER
) -> int | None:
    """How many queries of this kind would show, with a chance of `power`, that the gain is above `threshold`.

    The smallest n at which the bound, expected for n queries with the observed scatter around a true gain of
    `effect`, less z_power * sd / sqrt(n), is above the threshold. With a bound by the normal distribution this would be
    n = ((z_level + z_power) * sd / (effect - threshold))^2: Chow, Shao, Wang and Lokhnygina, "Sample Size
    Calculations in Clinical Research", 3rd edition 2017, section 3.1.

    Args:
        held: a comparison made with the queries at hand.
        effect: the true gain that is assumed.
        level: of the bound.
        threshold: what the bound has to exceed; below `effect`.
        power: the chance.

    Returns:
        None where no number up to ten million is enough.
    """
    from statistics import NormalDist

    if effect <= threshold:
        return None
    shifted = held.gains - held.gain + effect
    scatter = NormalDist().inv_cdf(power) * float(held.gains.std())

    def is_enough(queries: int) -> bool:
        expected = lower_bound(shifted, level, -held.spread, copies=queries / held.queries)
        return expected - scatter / math.sqrt(queries) > threshold

    if not is_enough(_MOST_QUERIES):
        return None
    too_few, enough = 0, 1
    while not is_enough(enough):
        too_few, enough = enough, min(2 * enough, _MOST_QUERIES)
    while enough - too_few > max(1, enough // 200):  # two digits are all that such a number is good for
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if is_enough(middle) else (middle, enough)
    return enough


def _superior(gate: Gate, held: Held, is_best: bool) -> Verdict:
    if held.lower > 0:
        return Verdict("promoted", f"it is better by at least {held.lower:.4f}", is_best=is_best)
    if held.upper < 0:
        return Verdict("worse", f"it is worse by at least {-held.upper:.4f}")
    if held.changed == 0:
        return Verdict("not better", "it scores the same for every query")
    if held.gain <= 0:
        return Verdict("not better", f"on average it gains nothing ({held.gain:+.4f}, at most {held.upper:+.4f})")
    needed = queries_needed(held, held.gain, gate.level)
    if needed is not None and needed <= held.queries:
        return Verdict(
            "not better",
            f"{held.queries:,} queries would have shown a gain of {held.gain:.4f} in {POWER:.0%} of the cases",
        )
    needed = queries_needed(held, held.gain, _next_level(gate))
    return Verdict("cannot tell", _too_small(gate, held.queries, needed, f"a gain of {held.gain:.4f}"), needed)


def _non_inferior(gate: Gate, rivals: dict[str, Held], is_best: bool) -> Verdict:
    assert gate.margin is not None
    worst = min(rivals.values(), key=lambda held: held.lower)
    if worst.lower > -gate.margin:
        return Verdict(
            "promoted", f"it loses at most {max(-worst.lower, 0.0):.4f}, less than the margin", is_best=is_best
        )
    for name, held in rivals.items():
        if held.upper < -gate.margin:
            whom = "the champion" if name == "champion" else "the best champion ever"
            return Verdict("worse", f"it is worse than {whom} by at least {-held.upper:.4f}, more than the margin")
    failing = [held for held in rivals.values() if held.lower <= -gate.margin]
    needed = _most_needed(failing, gate.level, gate.margin)
    if needed is not None and needed <= worst.queries:
        return Verdict("not better", f"it may lose {-worst.lower:.4f}, more than the margin of {gate.margin:g}")
    needed = _most_needed(failing, _next_level(gate), gate.margin)
    return Verdict("cannot tell", _too_small(gate, worst.queries, needed, f"a margin of {gate.margin:g}"), needed)


def _most_needed(failing: list[Held], level: float, margin: float) -> int | None:
    """Queries that would show of every rival that a candidate as good as it loses less than the margin."""
    numbers = [queries_needed(held, 0.0, level, threshold=-margin) for held in failing]
    known = [number for number in numbers if number is not None]
    return max(known) if len(known) == len(numbers) else None


def _next_level(gate: Gate) -> float:
    """Of the next set of test queries: more of them are another set."""
    return level_of_look(1, gate.alpha, gate.window)


def _too_small(gate: Gate, queries: int, needed: int | None, what: str) -> str:
    would = f"more than {_MOST_QUERIES:,}" if needed is None else f"some {needed:,}"
    here = "" if gate.candidate == 1 else f" for candidate {gate.candidate} at them"
    return f"{queries:,} queries are too few{here} to resolve {what}: it would take {would}{' new ones' * bool(here)}"
