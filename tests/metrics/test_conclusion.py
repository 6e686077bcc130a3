"""The plain sentence: outcome of a fine-tuning, or advice before one."""

from __future__ import annotations

import pytest

from hft.metrics import Comparison, evaluation_advice, fine_tuning_outcome


def tuned_by(difference: float, p: float) -> Comparison:
    tuned = 0.42 + difference
    around = (difference - 0.02, difference + 0.02)
    return Comparison(0.42, tuned, difference, around, p, 730, 0, (0.4, 0.44), (tuned - 0.02, tuned + 0.02))


def alone(start: float, low: float, high: float) -> Comparison:
    return Comparison(start, None, None, None, None, 730, 0, (low, high), None)


@pytest.mark.parametrize(
    ("difference", "p", "begin"),
    [
        (0.05, 0.0001, "The tuned model is better"),
        (-0.05, 0.0001, "The tuned model is worse"),
        (0.05, 0.2, "No clear difference"),
        (-0.05, 0.2, "No clear difference"),
    ],
)
def test_an_outcome_needs_significance_and_direction(difference: float, p: float, begin: str) -> None:
    assert fine_tuning_outcome(tuned_by(difference, p), {}, "ndcg@10", "maximize").startswith(begin)


def test_a_metric_to_be_minimised_is_better_when_it_fell() -> None:
    said = fine_tuning_outcome(tuned_by(-0.05, 0.0001), {}, "loss", "minimize")
    assert said.startswith("The tuned model is better")


def test_a_baseline_that_still_wins_is_named() -> None:
    baselines = {"bm25": 0.492, "random": 0.01}
    assert "bm25 (0.492) still scores better" in fine_tuning_outcome(
        tuned_by(0.05, 0.0001), baselines, "ndcg@10", "maximize"
    )
    assert "still" not in fine_tuning_outcome(tuned_by(0.08, 0.0001), baselines, "ndcg@10", "maximize")


@pytest.mark.parametrize(
    ("model", "baselines", "begin"),
    [
        (alone(0.42, 0.40, 0.44), {"bm25": 0.492}, "Room to gain: the baseline bm25 (0.492) beats"),
        (alone(0.42, 0.40, 0.44), {"bm25": 0.41}, "Room to gain: the model"),
        (alone(0.42, 0.40, 0.44), {"bm25": 0.30, "random": 0.1}, "The model beats every baseline"),
        (alone(0.42, 0.40, 0.44), {"bm25": 0.9, "random": 0.41}, "The model is no better than chance"),
        (alone(0.98, 0.97, 0.99), {"bm25": 0.5}, "Little room"),
        (alone(0.42, 0.40, 0.44), {}, "There is no baseline"),
    ],
)
def test_advice_holds_the_model_against_the_baselines(
    model: Comparison, baselines: dict[str, float], begin: str
) -> None:
    assert evaluation_advice(model, baselines, "ndcg@10", "maximize").startswith(begin)


def test_advice_warns_that_a_gain_can_be_popularity() -> None:
    said = evaluation_advice(alone(0.4, 0.38, 0.42), {"item_popularity": 0.7}, "ndcg@10", "maximize")
    assert "popularity alone" in said


def test_advice_for_a_metric_to_be_minimised_turns_round() -> None:
    said = evaluation_advice(alone(0.4, 0.38, 0.42), {"bm25": 0.2}, "loss", "minimize")
    assert said.startswith("Room to gain: the baseline bm25 (0.200) beats")


def test_an_outcome_without_a_tuned_model_is_refused() -> None:
    with pytest.raises(ValueError, match="tuned"):
        fine_tuning_outcome(alone(0.4, 0.38, 0.42), {}, "ndcg@10", "maximize")


def lead(difference: float, low: float, high: float) -> Comparison:
    return Comparison(0.492, 0.492 + difference, difference, (low, high), 0.5, 730, 0, (0.4, 0.5), (0.4, 0.5))


def test_a_baseline_is_called_better_only_where_the_paired_interval_says_so() -> None:
    args = (tuned_by(0.05, 0.0001), {"bm25": 0.492}, "ndcg@10", "maximize")
    assert "still scores better (the tuned model's difference -0.022" in fine_tuning_outcome(
        *args, {"bm25": lead(-0.022, -0.04, -0.01)}
    )
    assert "cannot be told from it" in fine_tuning_outcome(*args, {"bm25": lead(-0.022, -0.05, 0.01)})


def test_advice_goes_by_pairs_where_it_has_them() -> None:
    model, baselines = alone(0.42, 0.40, 0.44), {"bm25": 0.41, "random": 0.1}
    paired = {"bm25": lead(0.01, 0.005, 0.015), "random": lead(0.3, 0.2, 0.4)}
    assert evaluation_advice(model, baselines, "ndcg@10", "maximize", paired).startswith("The model beats every")
    unclear = {**paired, "bm25": lead(0.01, -0.005, 0.025)}
    assert "does no better than the baseline bm25" in evaluation_advice(
        model, baselines, "ndcg@10", "maximize", unclear
    )
    chance = {**paired, "random": lead(0.3, -0.2, 0.8)}
    assert "no better than chance" in evaluation_advice(model, baselines, "ndcg@10", "maximize", chance)


def test_few_queries_are_called_few() -> None:
    few = Comparison(0.42, None, None, None, None, 29, 0, (0.40, 0.44), None)
    assert evaluation_advice(few, {}, "ndcg@10", "maximize").endswith(
        "few queries (29): others could say something else."
    )
    assert "few queries" not in evaluation_advice(alone(0.42, 0.40, 0.44), {}, "ndcg@10", "maximize")
