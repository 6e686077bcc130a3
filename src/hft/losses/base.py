"""The contract of a loss: a scalar from features, and how much each pair pulls."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

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

    @abstractmethod
    def gradient_weight(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[pairs] in 0..1, without a graph.

        The slope of the loss in the pair's difference, relative to the largest slope that the loss can have.
        Confidences are left out: they say how far to believe a pair, not where the loss is flat.
        """


def graph_zero(features: FineTuningFeatures) -> Tensor:
    """A scalar 0 that depends on the (empty) ranks, so that `backward` works on a batch without pairs."""
    return (features.positive_ranks.sum() + features.negative_ranks.sum()) * 0.0
