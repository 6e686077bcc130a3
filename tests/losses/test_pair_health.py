"""Pair health: dead-wrong and dead-satisfied pairs are told apart, for each loss."""

from __future__ import annotations

import pytest
import torch

from hft.losses import (
    CosineProbMarginRankingLoss,
    FineTuningFeatures,
    FineTuningLoss,
    InfoNCELoss,
    MarginRankingLoss,
    ProbMarginRankingLoss,
    pair_health,
)


def features(differences: list[float], margin: float = 0.02, group: list[int] | None = None) -> FineTuningFeatures:
    pairs = len(differences)
    return FineTuningFeatures(
        positive_ranks=torch.tensor(differences, dtype=torch.float64, requires_grad=True),
        negative_ranks=torch.zeros(pairs, dtype=torch.float64),
        positive_confidences=torch.ones(pairs, dtype=torch.float64),
        negative_confidences=torch.ones(pairs, dtype=torch.float64),
        target=torch.ones(pairs, dtype=torch.float64),
        positive_index=torch.tensor(group or list(range(pairs)), dtype=torch.long),
        num_positives=pairs,
        margin=margin,
        is_irrelevant=torch.zeros(pairs, dtype=torch.bool),
    )


def test_the_cosine_loss_gives_up_pairs_that_are_mis_ordered_by_much() -> None:
    # Around 0.005 it is steepest; -0.1 is out of its reach, 0.3 long satisfied.
    health = pair_health(CosineProbMarginRankingLoss(), features([-0.1, -0.2, 0.005, 0.3]))
    assert health == {"dead_wrong_share": 0.5, "dead_satisfied_share": 0.25}


def test_the_cosine_loss_is_all_dead_wrong_at_a_wide_margin() -> None:
    health = pair_health(CosineProbMarginRankingLoss(), features([-0.1, -0.05, -0.01, -0.2], margin=0.5))
    assert health["dead_wrong_share"] == 1.0


def test_the_hinge_gives_nobody_up() -> None:
    health = pair_health(MarginRankingLoss(), features([-5.0, -0.1, 0.01, 0.02]))
    assert health == {"dead_wrong_share": 0.0, "dead_satisfied_share": 0.25}


def test_infonce_gives_up_a_pair_only_beside_a_much_harder_one() -> None:
    alone = pair_health(InfoNCELoss(), features([-0.1, 1.0]))
    beside = pair_health(InfoNCELoss(), features([-0.1, -1.0], group=[0, 0]))
    assert alone == {"dead_wrong_share": 0.0, "dead_satisfied_share": 0.5}
    assert beside["dead_wrong_share"] == 0.5


def test_shares_of_no_pairs_are_absent() -> None:
    assert pair_health(ProbMarginRankingLoss(), features([])) == {}


@pytest.mark.parametrize(
    ("loss", "largest_slope"),
    [
        (ProbMarginRankingLoss(scale=20.0), 20.0 / 4),
        (CosineProbMarginRankingLoss(), 400.0 / 4),
        (MarginRankingLoss(), 1.0),
        (InfoNCELoss(temperature=0.05), 1 / 0.05),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_gradient_weight_is_the_slope_over_the_largest_slope(loss: FineTuningLoss, largest_slope: float) -> None:
    given = features([-0.03, 0.01, 0.004, 0.2, -0.001])
    loss(given).backward()
    gradient = given.positive_ranks.grad
    assert gradient is not None
    slopes = -gradient * len(given)
    torch.testing.assert_close(loss.gradient_weight(given), slopes / largest_slope)


def test_the_gradient_weight_carries_no_graph() -> None:
    assert not InfoNCELoss().gradient_weight(features([0.1])).requires_grad
