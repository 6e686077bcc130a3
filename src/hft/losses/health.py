"""Pair health: how many pairs of a batch no longer teach anything, and why."""

from __future__ import annotations

import torch
from torch import Tensor

from hft.losses.base import FineTuningLoss
from hft.losses.features import FineTuningFeatures

# A pair counts as dead below this share of the largest slope that its loss can have.
DEAD_BELOW = 0.01


def pair_health(loss: FineTuningLoss, features: FineTuningFeatures) -> dict[str, float]:
    """Shares of pairs with next to no gradient, in 0..1 of all pairs.

    Returns:
        `dead_wrong_share`: mis-ordered pairs (difference below 0) that the loss has given up;
        `dead_satisfied_share`: rightly ordered pairs (difference 0 or more) that need no more.
        Empty where there is no pair (a share of nothing is absent, not 0), and for a loss that is a plain function.
    """
    return {name: float(share) for name, share in dead_shares(loss, features).items()}


@torch.no_grad()
def dead_shares(loss: FineTuningLoss, features: FineTuningFeatures) -> dict[str, Tensor]:
    """The same as `pair_health` as DoubleTensor[] each, on the device: nobody has waited for them."""
    if len(features) == 0 or not isinstance(loss, FineTuningLoss):
        return {}
    dead = loss.gradient_weight(features) < DEAD_BELOW
    wrong = features.difference < 0
    return {
        "dead_wrong_share": (dead & wrong).double().mean(),
        "dead_satisfied_share": (dead & ~wrong).double().mean(),
    }
