"""Losses over positive x negative pairs: `loss(FineTuningFeatures) -> scalar`."""

from __future__ import annotations

from hft.losses.base import FineTuningLoss
from hft.losses.features import FineTuningFeatures
from hft.losses.health import DEAD_BELOW, dead_shares, pair_health
from hft.losses.infonce import InfoNCELoss
from hft.losses.margin_ranking import MarginRankingLoss
from hft.losses.prob_margin import CosineProbMarginRankingLoss, ProbMarginRankingLoss

__all__ = [
    "DEAD_BELOW",
    "CosineProbMarginRankingLoss",
    "FineTuningFeatures",
    "FineTuningLoss",
    "InfoNCELoss",
    "MarginRankingLoss",
    "ProbMarginRankingLoss",
    "dead_shares",
    "pair_health",
]
