"""The learning verdict, on curves made up to be of one kind each."""

from __future__ import annotations

import numpy as np
import pytest

from hft.metrics import learning_verdict

STEPS = list(range(0, 301, 50))
FALLING = [(step, 2.0 - step / 200) for step in range(1, 301)]
RISING = [(step, 1.0 + step / 200) for step in range(1, 301)]


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
    assert learning_verdict(curves(values, train_loss)).startswith(verdict)


def test_a_noisy_training_loss_is_read_by_its_means() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 300)
    noisy = [(step, loss + extra) for (step, loss), extra in zip(FALLING, noise, strict=True)]
    verdict = learning_verdict(curves([0.40, 0.45, 0.47, 0.46, 0.45, 0.44, 0.43], noisy))
    assert verdict.startswith("overfitting since step 100")


def test_a_metric_to_be_minimised_is_read_the_other_way() -> None:
    given = {"train_loss": FALLING, "validation_loss": [(0, 2.0), (100, 1.0), (200, 1.5)]}
    assert learning_verdict(given, "loss", "minimize").startswith("overfitting since step 100")
    assert learning_verdict(given, "loss", "maximize").startswith("overfitting since step 0")


@pytest.mark.parametrize("values", [[], [(10, 0.4)]])
def test_one_validation_is_too_few_to_tell(values: list[tuple[int, float]]) -> None:
    assert learning_verdict({"validation_ndcg@10": values}).startswith("too few validations")


@pytest.mark.parametrize("values", [[(0, 0.40), (100, 0.45)], [(0, 0.40), (50, 0.45), (100, 0.45)]])
def test_before_three_validations_nothing_is_said_of_levelling_off(values: list[tuple[int, float]]) -> None:
    verdict = learning_verdict({"validation_ndcg@10": values, "train_loss": FALLING})
    assert verdict.startswith("improving: ")
    assert verdict.endswith("too few validations to say whether it levelled off")


def test_three_validations_do_to_see_it_level_off() -> None:
    given = {"validation_ndcg@10": [(0, 0.40), (50, 0.45), (100, 0.451), (150, 0.451)], "train_loss": FALLING}
    assert learning_verdict(given).endswith("and levelled off")


def test_nothing_more_is_promised_at_the_maximum() -> None:
    given = {"validation_ndcg@10": [(0, 0.866), (50, 0.9), (100, 0.95), (150, 1.0)], "train_loss": FALLING}
    verdict = learning_verdict(given)
    assert verdict == "improving: validation ndcg@10 went from 0.866 to 1.000 and reached the maximum"


def test_without_a_training_loss_a_fall_is_not_called_overfitting() -> None:
    given = {"validation_ndcg@10": [(0, 0.40), (100, 0.45), (200, 0.41)]}
    assert learning_verdict(given).startswith("getting worse since step 100")
