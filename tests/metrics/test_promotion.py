"""The gate: what it answers, how sure it is, and where a champion ends after many rounds of worse candidates."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from hft.errors import ConfigError, DataError
from hft.metrics.promotion import Gate, Held, Verdict, decide, hold, level_of_look, queries_needed

Values = npt.NDArray[np.float64]

QUERIES, ROUNDS = 275, 20
EACH_WORSE_BY = 0.01


def held(gains: npt.ArrayLike, level: float = level_of_look(1)) -> Held:
    """A comparison in which the candidate gains this much a query."""
    half = np.clip(np.asarray(gains, dtype=np.float64), -1.0, 1.0) / 2
    return hold(0.5 + half, 0.5 - half, level=level)


def scattered(mean: float, queries: int = QUERIES, scatter: float = 0.1) -> Values:
    """Gains with exactly this mean and standard deviation, mostly 0 before they are shifted."""
    random = np.random.default_rng(0)
    gains = np.where(random.random(queries) < 0.4, random.normal(0.0, 1.0, queries), 0.0)
    return (gains - gains.mean()) / gains.std() * scatter + mean


def answer(gains: Values, **gate: object) -> Verdict:
    asked = Gate(**gate)  # type: ignore[arg-type]
    return decide(asked, held(gains, asked.level))


@pytest.mark.parametrize("window", [1, 26])
def test_the_candidates_at_one_set_share_its_part_of_alpha_and_a_window_of_sets_makes_it_whole(window: int) -> None:
    levels = [level_of_look(candidate, window=window) for candidate in range(1, 100_000)]
    assert levels[0] == pytest.approx(0.05 / window * 6 / math.pi**2)
    assert levels[1] == pytest.approx(levels[0] / 4)
    assert window * sum(levels) == pytest.approx(0.05, abs=1e-6)
    assert window * sum(levels) < 0.05


def test_candidates_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="found 0"):
        level_of_look(0)


@pytest.mark.parametrize(
    ("gain", "gate", "expected"),
    [
        (0.04, {}, "promoted"),
        (
            0.04,
            {"candidate": 8},
            "cannot tell",
        ),  # what is enough for the first candidate at a set is not for the eighth
        (0.01, {}, "cannot tell"),
        (-0.005, {}, "not better"),
        (-0.03, {}, "worse"),
        (0.0, {"rule": "non_inferior", "margin": 0.03}, "promoted"),
        (0.0, {"rule": "non_inferior", "margin": 0.005}, "cannot tell"),
        (-0.07, {"rule": "non_inferior", "margin": 0.02}, "worse"),
        (
            -0.03,
            {"rule": "non_inferior", "margin": 0.04},
            "not better",
        ),  # enough queries for the margin, too great a loss
        (0.03, {"rule": "non_inferior", "margin": 0.005}, "promoted"),
    ],
)
def test_the_answers(gain: float, gate: dict[str, object], expected: str) -> None:
    verdict = answer(scattered(gain), **gate)
    assert verdict.answer == expected
    assert verdict.promoted == (expected == "promoted")
    assert (verdict.queries_needed is None) == (expected != "cannot tell")


def test_what_scores_the_same_everywhere_is_not_better() -> None:
    assert answer(np.zeros(QUERIES)).answer == "not better"


def test_cannot_tell_says_how_many_queries_it_would_take() -> None:
    verdict = answer(scattered(0.01))
    assert verdict.queries_needed is not None
    assert QUERIES < verdict.queries_needed < 10 * QUERIES
    assert f"{verdict.queries_needed:,}" in verdict.reason


def test_a_later_candidate_at_the_same_queries_is_told_how_many_new_ones_it_would_take() -> None:
    verdict = answer(scattered(0.04), candidate=8)
    assert verdict.answer == "cannot tell"
    assert "too few for candidate 8 at them" in verdict.reason
    assert verdict.reason.endswith("new ones")
    assert verdict.queries_needed is not None
    assert verdict.queries_needed < QUERIES


def test_a_gain_that_no_number_of_queries_shows_has_none() -> None:
    verdict = answer(scattered(1e-6))
    assert (verdict.answer, verdict.queries_needed) == ("cannot tell", None)
    assert "more than 10,000,000" in verdict.reason


def test_a_handful_of_queries_promotes_nothing_however_good() -> None:
    assert answer(np.full(3, 0.5)).answer == "cannot tell"


@pytest.mark.parametrize("threshold", [0.0, -0.02])
def test_so_many_queries_show_the_effect_in_four_of_five_cases(threshold: float) -> None:
    level, effect = level_of_look(2), threshold + 0.02
    comparison = held(scattered(0.004))
    queries = queries_needed(comparison, effect, level, threshold=threshold)
    assert queries is not None
    random, samples = np.random.default_rng(1), 200
    residuals = comparison.gains - comparison.gain + effect
    shown = sum(held(random.choice(residuals, queries), level).lower > threshold for _ in range(samples))
    assert shown / samples == pytest.approx(0.8, abs=0.1)


def test_it_takes_more_queries_than_the_formula_for_the_normal_distribution_and_near_to_it_when_many() -> None:
    comparison, level, effect = held(scattered(0.0)), 0.03, 0.002
    by_formula = ((stats.norm.ppf(1 - level) + stats.norm.ppf(0.8)) * comparison.gains.std() / effect) ** 2
    needed = queries_needed(comparison, effect, level)
    assert needed is not None
    assert 1.0 < needed / by_formula < 1.1


def test_of_a_metric_that_is_minimised_a_lower_value_is_a_gain() -> None:
    low, high = np.full(50, 0.2), np.full(50, 0.6)
    comparison = hold(low, high, level=0.03, direction="minimize")
    assert comparison.gain == pytest.approx(0.4)
    assert comparison.lower > 0
    assert hold(low, high, level=0.03).upper < 0


def test_queries_without_a_value_do_not_count() -> None:
    comparison = hold([0.5, np.nan, 0.7], [0.5, np.nan, 0.5], level=0.03)
    assert (comparison.queries, comparison.changed) == (2, 1)
    assert comparison.gain == pytest.approx(0.1)


def test_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="the same queries"):
        hold([0.5, np.nan], [0.5, 0.5], level=0.03)


def test_no_value_at_all_is_told() -> None:
    with pytest.raises(DataError, match="none of the 2 queries"):
        hold([np.nan, np.nan], [np.nan, np.nan], level=0.03)


@pytest.mark.parametrize(("scale", "spread"), [(1.0, 1.0), (40.0, 36.0)])
def test_a_metric_beyond_one_may_lose_as_much_as_was_seen(scale: float, spread: float) -> None:
    comparison = hold(np.array([0.1, 0.5]) * scale, np.array([0.4, 1.0]) * scale, level=0.03)
    assert comparison.spread == pytest.approx(spread)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"rule": "better"}, "promotion.rule"),
        ({"rule": "non_inferior"}, "promotion.margin"),
        ({"margin": 0.0}, "promotion.margin"),
        ({"margin": -0.1}, "promotion.margin"),
        ({"margin": 0.3}, "promotion.margin: found 0.3 .* belongs to promotion.rule=non_inferior"),
        ({"alpha": 0.5}, "promotion.alpha"),
        ({"window": 0}, "promotion.window"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(settings: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        Gate(**settings)  # type: ignore[arg-type]


def test_non_inferior_must_hold_against_the_best_champion_ever_too() -> None:
    gate = Gate("non_inferior", 0.03)
    champion, best = held(scattered(0.0)), held(scattered(-0.025))
    assert decide(gate, champion).promoted
    assert not decide(gate, champion, best).promoted


@pytest.mark.parametrize(
    ("of_champion", "of_best", "is_best"), [(0.05, None, True), (0.05, 0.04, True), (0.05, 0.0, False)]
)
def test_the_best_is_who_was_shown_to_be_better_than_the_best(
    of_champion: float, of_best: float | None, is_best: bool
) -> None:
    best = None if of_best is None else held(scattered(of_best))
    assert decide(Gate(), held(scattered(of_champion)), best).is_best == is_best


def test_twenty_rounds_of_slightly_worse_candidates_do_not_walk_the_champion_downhill() -> None:
    """Each candidate is truly .01 worse than the champion of its round, measured over 275 queries.

    "Promote unless significantly worse" lets most of them through; a positive lower bound lets next to none.
    """
    random, worlds = np.random.default_rng(0), 12
    lost, lost_naively = np.zeros(worlds), np.zeros(worlds)
    critical = -stats.t.ppf(0.95, QUERIES - 1)
    for world in range(worlds):
        for _ in range(ROUNDS):
            gains = _movie_search(random, QUERIES, 0.146) - EACH_WORSE_BY
            gate = Gate()
            lost[world] += EACH_WORSE_BY * decide(gate, held(gains.round(2), gate.level)).promoted
            t = gains.mean() / (gains.std(ddof=1) / math.sqrt(QUERIES))
            lost_naively[world] += EACH_WORSE_BY * (t >= critical)
    assert lost_naively.mean() > 0.11
    assert lost.max() <= EACH_WORSE_BY
    assert lost.mean() <= 0.05 * EACH_WORSE_BY


def test_nor_does_a_margin_walk_it_downhill_because_the_best_champion_is_remembered() -> None:
    random, margin, queries = np.random.default_rng(0), 0.02, 1500
    with_best, without = 0.0, 0.0
    for _ in range(2):
        for remembers in (True, False):
            champion, best, lost = np.zeros(queries), np.zeros(queries), 0.0
            for _ in range(ROUNDS):
                candidate = champion - EACH_WORSE_BY + _movie_search(random, queries, 0.06)
                gate = Gate("non_inferior", margin)
                of_best = held((candidate - best).round(2), gate.level) if remembers else None
                verdict = decide(gate, held((candidate - champion).round(2), gate.level), of_best)
                if verdict.promoted:
                    champion, lost = candidate, lost + EACH_WORSE_BY
                    best = candidate if verdict.is_best else best
            if remembers:
                with_best = max(with_best, lost)
            else:
                without = max(without, lost)
    assert 0 < with_best <= margin
    assert without > 3 * margin


def _movie_search(random: np.random.Generator, queries: int, scatter: float) -> Values:
    """Differences of NDCG as they are: none for most queries, long tails for the rest; mean 0."""
    share = 0.4
    tails = random.standard_t(5, queries) * scatter / math.sqrt(share * 5 / 3)
    return np.where(random.random(queries) < share, tails, 0.0)
