"""Metrics, a value a query: rankings, shifts, comparisons, baselines and the report."""

from __future__ import annotations

from hft.metrics.accumulators import MetricsAccumulator
from hft.metrics.base import Metric, QueryMean, mean_over_queries
from hft.metrics.dist_shift import DistShift, IrrelevantDistShift, NotIrrelevantDistShift
from hft.metrics.ranked_lists import RankedLists, rank_lists, rank_matrix, top_rows
from hft.metrics.ranking import MAP, MRR, NDCG, Precision, Recall

__all__ = [
    "MAP",
    "MRR",
    "NDCG",
    "DistShift",
    "IrrelevantDistShift",
    "Metric",
    "MetricsAccumulator",
    "NotIrrelevantDistShift",
    "Precision",
    "QueryMean",
    "RankedLists",
    "Recall",
    "mean_over_queries",
    "rank_lists",
    "rank_matrix",
    "top_rows",
]
