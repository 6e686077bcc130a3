"""Golden values of every loss, worked out pair by pair in float64 NumPy, apart from the code under test."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hft.losses import (
    CosineProbMarginRankingLoss,
    FineTuningFeatures,
    FineTuningLoss,
    InfoNCELoss,
    MarginRankingLoss,
    ProbMarginRankingLoss,
)

POSITIVE = np.array([0.9, 0.9, 0.2, 0.5, 0.5, 0.5])
NEGATIVE = np.array([0.1, 0.88, 0.7, 0.5, 0.49, 0.0])
POSITIVE_CONFIDENCE = np.array([1.0, 1.0, 0.3, 0.6, 0.6, 0.6])
NEGATIVE_CONFIDENCE = np.array([0.5, 1.0, 0.9, 0.2, 1.0, 0.7])
# Irregular on purpose: groups of 2, 1 and 3 pairs, and no order.
GROUP = np.array([2, 0, 1, 0, 2, 2])
MARGIN = 0.02


def features(
    sign: float = 1.0, *, positive: np.ndarray = POSITIVE, negative: np.ndarray = NEGATIVE
) -> FineTuningFeatures:
    pairs = len(positive)
    return FineTuningFeatures(
        positive_ranks=torch.tensor(positive, dtype=torch.float64, requires_grad=True),
        negative_ranks=torch.tensor(negative, dtype=torch.float64, requires_grad=True),
        positive_confidences=torch.tensor(POSITIVE_CONFIDENCE[:pairs]),
        negative_confidences=torch.tensor(NEGATIVE_CONFIDENCE[:pairs]),
        target=torch.full((pairs,), sign, dtype=torch.float64),
        positive_index=torch.tensor(GROUP[:pairs]),
        num_positives=3,
        margin=MARGIN,
        is_irrelevant=torch.zeros(pairs, dtype=torch.bool),
    )


def sigmoid_loss(sign: float, scale: float, shift: float) -> float:
    total = 0.0
    for pos, neg, pos_c, neg_c in zip(POSITIVE, NEGATIVE, POSITIVE_CONFIDENCE, NEGATIVE_CONFIDENCE, strict=True):
        exponent = scale * (MARGIN - sign * (pos - neg)) - shift
        total += min(pos_c, neg_c) / (1.0 + np.exp(-exponent))
    return total / 6


def hinge_loss(sign: float) -> float:
    confidences = np.minimum(POSITIVE_CONFIDENCE, NEGATIVE_CONFIDENCE)
    return float(np.mean(confidences * np.maximum(0.0, MARGIN - sign * (POSITIVE - NEGATIVE))))


def infonce_loss(sign: float, temperature: float, confidence: dict[int, float]) -> float:
    weighted, weights = 0.0, 0.0
    for group, weight in confidence.items():
        members = np.flatnonzero(group == GROUP)
        summed = sum(np.exp(sign * (NEGATIVE[i] - POSITIVE[i]) / temperature) for i in members)
        weighted += weight * np.log(1.0 + summed)
        weights += weight
    return float(weighted / weights)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["similarity", "distance"])
@pytest.mark.parametrize(("scale", "shift"), [(20.0, 0.0), (5.0, 1.5)])
def test_the_probabilistic_margin_loss_is_its_formula(sign: float, scale: float, shift: float) -> None:
    loss = ProbMarginRankingLoss(scale=scale, shift=shift)(features(sign))
    assert loss.item() == pytest.approx(sigmoid_loss(sign, scale, shift), rel=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["similarity", "distance"])
def test_the_cosine_form_is_slope_400_and_shift_6(sign: float) -> None:
    loss = CosineProbMarginRankingLoss()(features(sign))
    assert loss.item() == pytest.approx(sigmoid_loss(sign, 400.0, 6.0), rel=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["similarity", "distance"])
def test_the_margin_loss_is_a_hinge(sign: float) -> None:
    assert MarginRankingLoss()(features(sign)).item() == pytest.approx(hinge_loss(sign), rel=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["similarity", "distance"])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_infonce_is_a_weighted_mean_over_positives(sign: float, temperature: float) -> None:
    # Every pair of a positive carries its confidence; here one for each of the three groups.
    confidence = {0: 1.0, 1: 0.3, 2: 0.6}
    given = features(sign)
    of_pair = torch.tensor([confidence[int(group)] for group in GROUP], dtype=torch.float64)
    given = FineTuningFeatures(**{**vars(given), "positive_confidences": of_pair})
    loss = InfoNCELoss(temperature)(given)
    assert loss.item() == pytest.approx(infonce_loss(sign, temperature, confidence), rel=1e-12)


def test_infonce_with_one_negative_each_is_a_logistic_loss() -> None:
    given = features(positive=POSITIVE[:3], negative=NEGATIVE[:3])
    loss = InfoNCELoss(temperature=1.0)(given)
    weights = POSITIVE_CONFIDENCE[:3]
    expected = np.average(np.log1p(np.exp(NEGATIVE[:3] - POSITIVE[:3])), weights=weights)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_infonce_leaves_out_a_positive_without_a_pair() -> None:
    given = features()
    more = FineTuningFeatures(**{**vars(given), "num_positives": 7})
    assert InfoNCELoss()(more).item() == InfoNCELoss()(given).item()


@pytest.mark.parametrize(
    ("loss", "sign"),
    [
        (ProbMarginRankingLoss(), 1.0),
        (CosineProbMarginRankingLoss(), 1.0),
        (MarginRankingLoss(), -1.0),
        (InfoNCELoss(), -1.0),
    ],
    ids=["prob", "cosine", "margin", "infonce"],
)
def test_a_loss_ignores_the_order_of_pairs(loss: FineTuningLoss, sign: float) -> None:
    shuffled = features(sign).select(torch.tensor([3, 5, 0, 2, 4, 1]))
    assert loss(shuffled).item() == pytest.approx(loss(features(sign)).item(), rel=1e-12)
