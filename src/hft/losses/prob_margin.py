"""Probabilistic margin ranking losses: a sigmoid of how far a pair falls short of the margin."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from hft.losses.base import FineTuningLoss, graph_zero
from hft.losses.features import FineTuningFeatures

# A sigmoid is steepest at its middle, where s * (1 - s) is one quarter.
_STEEPEST = 0.25


class ProbMarginRankingLoss(FineTuningLoss):
    """Mean over pairs of c * sigmoid(scale * (margin - t*(r_pos - r_neg)) - shift).

    c is the lesser of the pair's two confidences, t is +1 for a similarity and -1 for a distance. A pair adds
    at most c, so that a wrong click cannot pull without limit. Gradients live within some 6 / scale of
    margin - shift / scale; beyond, pairs are satisfied on one side and given up on the other (pair_health).

    Source: the probabilistic margin ranking loss as released with Embedding Studio, with the slope made
    a parameter: at slope 1 the margin is nearly inert for ranks within -1..1.

    Ignores no parameter.

    Args:
        scale: slope of the sigmoid, in 1 / units of the ranker. Higher: a sharper margin, fewer pairs learn.
        shift: moves the centre by shift / scale below the margin. Higher: less pull on pairs past the margin.
    """

    ignores: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, scale: Annotated[float, Field(gt=0.0)] = 20.0, shift: float = 0.0) -> None:
        super().__init__()
        self.scale = scale
        self.shift = shift

    def forward(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[]: the mean over pairs."""
        if len(features) == 0:
            return graph_zero(features)
        return (features.confidence * torch.sigmoid(self._exponent(features))).mean()

    @torch.no_grad()
    def gradient_weight(self, features: FineTuningFeatures) -> Tensor:
        """FloatTensor[pairs]: s * (1 - s) over its largest value, one quarter."""
        exponent = self._exponent(features)
        return torch.sigmoid(exponent) * torch.sigmoid(-exponent) / _STEEPEST

    def _exponent(self, features: FineTuningFeatures) -> Tensor:
        return self.scale * (features.margin - features.difference) - self.shift


class CosineProbMarginRankingLoss(ProbMarginRankingLoss):
    """Mean over pairs of c * sigmoid(400 * (margin - t*(r_pos - r_neg)) - 6), for cosine ranks.

    The form of ProbMarginRankingLoss that its authors meant for cosines. With slope 400 gradients live only
    for margin - 0.03 < difference < margin: robust against noisy clicks at margins of 0.01 to 0.05, useless
    at 0.2 and above, where nearly every pair is out of its reach.

    Source: Embedding Studio's cosine variant, as described by its authors.

    Ignores no parameter.

    Args:
        scale: slope of the sigmoid, in 1 / units of the ranker. Higher: a sharper margin, fewer pairs learn.
        shift: moves the centre by shift / scale below the margin. Higher: less pull on pairs past the margin.
    """

    ignores: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, scale: Annotated[float, Field(gt=0.0)] = 400.0, shift: float = 6.0) -> None:
        super().__init__(scale=scale, shift=shift)
