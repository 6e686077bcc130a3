"""The contract of a loss: a scalar from features, and how much each pair pulls."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from hft.losses.features import FineTuningFeatures


class FineTuningLoss(nn.Module):
    """`loss(features) -> scalar`. A loss of one's own derives from this class.

    `ignores` names the FineTuningParams that have no effect under the loss, and `ignores_negative_confidences` says
    whether only the confidences of positives count; the pre-flight check reads them without importing the module,
    so they must be written as literals.
    """

    ignores: ClassVar[frozenset[str]] = frozenset()
    ignores_negative_confidences: ClassVar[bool] = False

    @abstractmethod
    def forward(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[] over the batch's pairs; 0, still part of the graph, where there is no pair."""

    def gradient_weight(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[pairs] in 0..1, without a graph: how much each pair pulls.

        The slope of the loss in the pair's positive rank, relative to the largest of these pairs. The losses of
        hft give it in closed form, relative to the largest slope that they can have; confidences are left out
        there: they say how far to believe a pair, not where the loss is flat.
        """
        with torch.enable_grad():
            ranks = features.positive_ranks.detach().requires_grad_()
            loss = self(replace(features, positive_ranks=ranks))
            (slopes,) = torch.autograd.grad(loss, ranks)
        sizes = slopes.abs()
        return sizes / sizes.max().clamp_min(torch.finfo(sizes.dtype).tiny)


def graph_zero(features: FineTuningFeatures) -> Tensor:
    """A scalar 0 that depends on the (empty) ranks, so that `backward` works on a batch without pairs."""
    return (features.positive_ranks.sum() + features.negative_ranks.sum()) * 0.0
