"""Gradients: right against finite differences, alive without pairs, finite at any scale."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hft.losses import (
    CosineProbMarginRankingLoss,
    FineTuningFeatures,
    FineTuningLoss,
    InfoNCELoss,
    MarginRankingLoss,
    ProbMarginRankingLoss,
)

LOSSES = [ProbMarginRankingLoss(), CosineProbMarginRankingLoss(), MarginRankingLoss(), InfoNCELoss()]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)


def features(positive: Tensor, negative: Tensor, *, sign: float = 1.0) -> FineTuningFeatures:
    pairs = len(positive)
    return FineTuningFeatures(
        positive_ranks=positive,
        negative_ranks=negative,
        positive_confidences=torch.linspace(0.2, 1.0, pairs, dtype=positive.dtype),
        negative_confidences=torch.linspace(0.9, 0.3, pairs, dtype=positive.dtype),
        target=torch.full((pairs,), sign, dtype=positive.dtype),
        positive_index=torch.arange(pairs) % 3,
        num_positives=3,
        margin=0.02,
        is_irrelevant=torch.zeros(pairs, dtype=torch.bool),
    )


@every_loss
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_gradient_agrees_with_finite_differences(loss: FineTuningLoss, sign: float) -> None:
    random = torch.Generator().manual_seed(0)
    positive = torch.randn(8, dtype=torch.float64, generator=random).mul(0.05).requires_grad_()
    negative = torch.randn(8, dtype=torch.float64, generator=random).mul(0.05).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, n: loss(features(p, n, sign=sign)), (positive, negative))


@every_loss
def test_no_pairs_give_zero_and_backward_works(loss: FineTuningLoss) -> None:
    weight = torch.ones(4, requires_grad=True)
    value = loss(features(weight[:0] * 2, weight[:0] * 3))
    value.backward()
    assert value.item() == 0.0
    assert weight.grad is not None
    assert weight.grad.tolist() == [0.0] * 4


@every_loss
@pytest.mark.parametrize("difference", [-1e6, -50.0, 50.0, 1e6])
def test_value_and_gradient_stay_finite_far_from_the_margin(loss: FineTuningLoss, difference: float) -> None:
    positive = torch.full((6,), difference, requires_grad=True)
    value = loss(features(positive, torch.zeros(6)))
    value.backward()
    assert torch.isfinite(value)
    assert positive.grad is not None
    assert torch.isfinite(positive.grad).all()


def test_infonce_far_on_the_wrong_side_is_linear_in_the_difference() -> None:
    positive = torch.zeros(3)
    value = InfoNCELoss(temperature=0.01)(features(positive, positive + 100.0))
    assert value.item() == pytest.approx(100.0 / 0.01)


@every_loss
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["similarity", "distance"])
def test_a_step_down_the_gradient_moves_a_pair_towards_its_order(loss: FineTuningLoss, sign: float) -> None:
    positive, negative = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss(features(positive, negative, sign=sign)).backward()
    assert positive.grad is not None
    assert negative.grad is not None
    assert (sign * -positive.grad > 0).all()
    assert (sign * -negative.grad < 0).all()


def test_infonce_with_all_confidences_zero_is_zero_not_nan() -> None:
    positive = torch.zeros(3, requires_grad=True)
    given = features(positive, torch.ones(3))
    given = FineTuningFeatures(**{**vars(given), "positive_confidences": torch.zeros(3)})
    value = InfoNCELoss()(given)
    value.backward()
    assert value.item() == 0.0
    assert positive.grad is not None
    assert positive.grad.tolist() == [0.0] * 3
