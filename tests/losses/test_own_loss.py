from __future__ import annotations

import torch
from torch import Tensor

from hft.losses import FineTuningFeatures, FineTuningLoss, pair_health


class Hinge(FineTuningLoss):
    """A user's loss: nothing but forward."""

    def forward(self, features: FineTuningFeatures) -> Tensor:
        return torch.relu(0.1 - features.difference).mean()


def features_with(differences: list[float]) -> FineTuningFeatures:
    pairs = len(differences)
    return FineTuningFeatures(
        positive_ranks=torch.tensor(differences),
        negative_ranks=torch.zeros(pairs),
        positive_confidences=torch.ones(pairs),
        negative_confidences=torch.ones(pairs),
        target=torch.ones(pairs),
        positive_index=torch.arange(pairs),
        num_positives=pairs,
        margin=0.0,
        is_irrelevant=torch.zeros(pairs, dtype=torch.bool),
    )


def test_a_loss_of_ones_own_needs_forward_only() -> None:
    health = pair_health(Hinge(), features_with([-0.5, 0.05, 0.5, 0.9]))
    assert health == {"dead_wrong_share": 0.0, "dead_satisfied_share": 0.5}


def test_its_gradient_weight_is_the_slope_of_each_pair() -> None:
    assert Hinge().gradient_weight(features_with([-0.5, 0.05, 0.5])).tolist() == [1.0, 1.0, 0.0]
