"""InfoNCE over flat pairs: each positive against all of its own negatives."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from hft.losses.base import FineTuningLoss, graph_zero
from hft.losses.features import FineTuningFeatures


class InfoNCELoss(FineTuningLoss):
    """Mean over positives of log(1 + sum over its negatives of exp(t*(r_neg - r_pos) / temperature)).

    This is the cross entropy of picking the positive among itself and its negatives. t is +1 for a similarity
    and -1 for a distance. The mean is weighted: each positive weighs as its confidence times its weight, the sum is
    divided by the sum of those, so that their scale does not change the step. Confidences of
    negatives have no effect. A positive without a pair (all its negatives masked) has nothing to be told from
    and is left out.

    Source: van den Oord, Li and Vinyals, "Representation learning with contrastive predictive coding", 2018,
    equation 4.

    Ignores margin.

    Args:
        temperature: in units of the ranker. Lower: the hardest negatives take more of the gradient.
    """

    ignores: ClassVar[frozenset[str]] = frozenset({"margin"})
    ignores_negative_confidences: ClassVar[bool] = True

    def __init__(self, temperature: Annotated[float, Field(gt=0.0)] = 0.05) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[]: the weighted mean over positives."""
        if len(features) == 0:
            return graph_zero(features)
        losses = self._losses(features)
        # All pairs of a positive carry its weight; amax reads it once, exactly. No pair: weight 0.
        weights = torch.zeros_like(losses).scatter_reduce(
            0, features.positive_index, features.positive_weights.to(losses.dtype), reduce="amax"
        )
        total = weights.sum().clamp_min(torch.finfo(losses.dtype).tiny)
        return (weights * losses).sum() / total

    @torch.no_grad()
    def gradient_weight(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[pairs]: the negative's share in the softmax over its positive and all its negatives."""
        losses = self._losses(features)
        return torch.exp(self._exponents(features) - losses[features.positive_index])

    def _exponents(self, features: FineTuningFeatures) -> Tensor:
        return -features.difference / self.temperature

    def _losses(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[num_positives]: log(1 + sum of exp) a positive, shifted by the largest exponent."""
        exponents = self._exponents(features)
        zeros = exponents.new_zeros(features.num_positives)
        # The "1 +" is an exponent of 0, so the largest one is never below 0. It cancels out: no gradient.
        largest = zeros.scatter_reduce(0, features.positive_index, exponents.detach(), reduce="amax")
        shifted = torch.exp(exponents - largest[features.positive_index])
        sums = torch.exp(-largest).index_add(0, features.positive_index, shifted)
        return largest + torch.log(sums)
