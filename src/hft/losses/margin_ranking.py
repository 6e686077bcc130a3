"""Margin ranking loss: the plain hinge."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hft.losses.base import FineTuningLoss, graph_zero
from hft.losses.features import FineTuningFeatures


class MarginRankingLoss(FineTuningLoss):
    """Mean over pairs of c * max(0, margin - t*(r_pos - r_neg)).

    c is the lesser of the pair's two confidences, t is +1 for a similarity and -1 for a distance. No pair is
    given up: the further a pair is mis-ordered, the more it adds, which also makes it trust wrong clicks.

    Source: the ranking SVM's hinge on pairs (Joachims, "Optimizing search engines using clickthrough data",
    KDD 2002), with confidences as weights.

    Ignores no parameter.
    """

    ignores: ClassVar[frozenset[str]] = frozenset()

    def forward(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[]: the mean over pairs."""
        if len(features) == 0:
            return graph_zero(features)
        return (features.confidence * torch.relu(features.margin - features.difference)).mean()

    @torch.no_grad()
    def gradient_weight(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[pairs]: 1 short of the margin, 0 at it and past it."""
        return (features.difference < features.margin).to(features.positive_ranks.dtype)
