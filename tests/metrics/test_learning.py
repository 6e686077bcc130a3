"""The learning verdict, on curves made up to be of one kind each."""

from __future__ import annotations

import numpy as np
import pytest

from hft.metrics import Comparison, learning_verdict, level_of_curve

STEPS = list(range(0, 301, 50))
FALLING = [(step, 2.0 - step / 200) for step in range(1, 301)]
RISING = [(step, 1.0 + step / 200) for step in range(1, 301)]


def change(low: float, high: float) -> Comparison:
    """A change from 0.5 whose interval is (low, high)."""
    middle = (low + high) / 2
    return Comparison(0.5, 0.5 + middle, middle, (low, high), None, 400, 0, (0.4, 0.6), (0.4, 0.6))


ROSE, FELL, UNCLEAR = change(0.01, 0.05), change(-0.05, -0.01), change(-0.02, 0.02)


def curves(values: list[float], train_loss: list[tuple[int, float]] = FALLING) -> dict[str, list[tuple[int, float]]]:
    return {"train_loss": train_loss, "validation_ndcg@10": list(zip(STEPS, values, strict=True))}


@pytest.mark.parametrize(
    ("values", "train_loss", "verdict"),
    [
        ([0.40, 0.44, 0.46, 0.470, 0.472, 0.471, 0.472], FALLING, "improving: "),
        ([0.40, 0.41, 0.42, 0.43, 0.44, 0.45, 0.46], FALLING, "underfitting, still improving: "),
        ([0.40, 0.45, 0.47, 0.46, 0.45, 0.44, 0.43], FALLING, "overfitting since step 100: "),
        ([0.40, 0.38, 0.36, 0.35, 0.34, 0.33, 0.32], FALLING, "overfitting since step 0: "),
        ([0.40, 0.45, 0.30, 0.20, 0.10, 0.10, 0.10], RISING, "getting worse since step 50: "),
        ([0.40, 0.401, 0.399, 0.40, 0.402, 0.40, 0.40], FALLING, "no change: "),
        # A dip on the way is no overfitting where the end is as good as the best.
        ([0.40, 0.44, 0.38, 0.46, 0.47, 0.471, 0.4705], FALLING, "improving: "),
    ],
)
def test_each_kind_of_curve_has_its_verdict(
    values: list[float], train_loss: list[tuple[int, float]], verdict: str
) -> None:
    assert learning_verdict(curves(values, train_loss), gain=ROSE, fall=FELL).startswith(verdict)


def test_a_noisy_training_loss_is_read_by_its_means() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 300)
    noisy = [(step, loss + extra) for (step, loss), extra in zip(FALLING, noise, strict=True)]
    verdict = learning_verdict(curves([0.40, 0.45, 0.47, 0.46, 0.45, 0.44, 0.43], noisy), fall=FELL)
    assert verdict.startswith("overfitting since step 100")


def test_a_metric_to_be_minimised_is_read_the_other_way() -> None:
    given = {"train_loss": FALLING, "validation_loss": [(0, 2.0), (100, 1.0), (200, 1.5), (300, 1.5)]}
    assert learning_verdict(given, "loss", "minimize", fall=ROSE).startswith("overfitting since step 100")
    assert learning_verdict(given, "loss", "minimize", gain=FELL, fall=FELL).startswith("improving")
    assert learning_verdict(given, "loss", "maximize", fall=FELL).startswith("overfitting since step 0")


@pytest.mark.parametrize("fall", [UNCLEAR, None])
def test_a_fall_that_can_be_chance_is_not_called_overfitting(fall: Comparison | None) -> None:
    given = curves([0.40, 0.45, 0.47, 0.46, 0.45, 0.44, 0.43])
    verdict = learning_verdict(given, gain=ROSE, fall=fall)
    assert verdict.startswith("improving: ")
    assert verdict.endswith("cannot tell whether it fell back to 0.430 since step 100")
    assert "overfitting" not in learning_verdict(given, gain=UNCLEAR, fall=fall)
    from_the_start = learning_verdict(curves([0.40, 0.38, 0.36, 0.35, 0.34, 0.33, 0.32]), fall=fall)
    assert from_the_start.startswith("no change: ")
    assert "cannot tell whether it got worse" in from_the_start


@pytest.mark.parametrize("gain", [UNCLEAR, None])
def test_a_gain_that_can_be_chance_is_not_called_improving(gain: Comparison | None) -> None:
    assert learning_verdict(curves([0.40, 0.41, 0.42, 0.43, 0.44, 0.45, 0.46]), gain=gain).startswith("no clear change")


def test_the_verdict_says_its_uncertainty_and_over_how_many_queries() -> None:
    assert "(+0.030, +0.010 to +0.050 over 400 queries)" in learning_verdict(
        curves([0.40, 0.44, 0.46, 0.470, 0.472, 0.471, 0.472]), gain=ROSE
    )


def test_three_validations_are_too_few_to_call_a_real_fall_overfitting() -> None:
    given = {"train_loss": FALLING, "validation_ndcg@10": [(0, 0.40), (100, 0.45), (200, 0.41)]}
    verdict = learning_verdict(given, gain=ROSE, fall=FELL)
    assert verdict.startswith("getting worse since step 100")
    assert verdict.endswith("too few validations to call it overfitting")


def test_the_choice_of_the_best_among_many_validations_counts() -> None:
    assert level_of_curve(1) == pytest.approx(0.95)
    assert level_of_curve(10) == pytest.approx(0.995)


@pytest.mark.parametrize("values", [[], [(10, 0.4)]])
def test_one_validation_is_too_few_to_tell(values: list[tuple[int, float]]) -> None:
    assert learning_verdict({"validation_ndcg@10": values}).startswith("too few validations")


@pytest.mark.parametrize("values", [[(0, 0.40), (100, 0.45)], [(0, 0.40), (50, 0.45), (100, 0.45)]])
def test_before_three_validations_nothing_is_said_of_levelling_off(values: list[tuple[int, float]]) -> None:
    verdict = learning_verdict({"validation_ndcg@10": values, "train_loss": FALLING}, gain=ROSE)
    assert verdict.startswith("improving: ")
    assert verdict.endswith("too few validations to say whether it levelled off")


def test_three_validations_do_to_see_it_level_off() -> None:
    given = {"validation_ndcg@10": [(0, 0.40), (50, 0.45), (100, 0.451), (150, 0.451)], "train_loss": FALLING}
    assert learning_verdict(given, gain=ROSE).endswith("and levelled off")


def test_nothing_more_is_promised_at_the_maximum() -> None:
    given = {"validation_ndcg@10": [(0, 0.866), (50, 0.9), (100, 0.95), (150, 1.0)], "train_loss": FALLING}
    verdict = learning_verdict(given, gain=ROSE)
    assert verdict.startswith("improving: validation ndcg@10 went from 0.866 to 1.000 (")
    assert verdict.endswith("and reached the maximum")


def test_without_a_training_loss_a_fall_is_not_called_overfitting() -> None:
    given = {"validation_ndcg@10": [(0, 0.40), (100, 0.45), (200, 0.41)]}
    assert learning_verdict(given, fall=FELL).startswith("getting worse since step 100")
