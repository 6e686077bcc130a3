"""Rankings without a model, for shown lists and for a corpus."""

from __future__ import annotations

from hft.metrics.baselines.base import Baseline
from hft.metrics.baselines.bm25 import Bm25Baseline
from hft.metrics.baselines.chance import RandomBaseline, expected_at_random
from hft.metrics.baselines.popularity import ItemPopularityBaseline
from hft.metrics.baselines.title_overlap import TitleOverlapBaseline

__all__ = [
    "Baseline",
    "Bm25Baseline",
    "ItemPopularityBaseline",
    "RandomBaseline",
    "TitleOverlapBaseline",
    "expected_at_random",
]
