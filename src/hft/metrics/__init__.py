"""Metrics, a value a query: rankings, shifts, comparisons, baselines and the report."""

from __future__ import annotations

from hft.metrics.accumulators import MetricsAccumulator
from hft.metrics.base import Metric, QueryMean, mean_over_queries, ranking_depth
from hft.metrics.baselines import (
    Baseline,
    Bm25Baseline,
    ItemPopularityBaseline,
    RandomBaseline,
    TitleOverlapBaseline,
)
from hft.metrics.classes import ClassScores, compared_macro_f1, macro_f1, worst_classes
from hft.metrics.comparison import Comparison, bootstrap_interval, compare, paired_randomization_p
from hft.metrics.conclusion import evaluation_advice, fine_tuning_outcome
from hft.metrics.counterfactual import ClickEstimate, WeightedClicks, click_estimates
from hft.metrics.dist_shift import DistShift, IrrelevantDistShift, NotIrrelevantDistShift
from hft.metrics.learning import learning_verdict, level_of_curve
from hft.metrics.ranked_lists import RankedLists, order_within, rank_lists, rank_matrix, top_rows
from hft.metrics.ranking import MAP, MRR, NDCG, Accuracy, Precision, Recall
from hft.metrics.report import QueryExample, RankedResult, Report

__all__ = [
    "MAP",
    "MRR",
    "NDCG",
    "Accuracy",
    "Baseline",
    "Bm25Baseline",
    "ClassScores",
    "ClickEstimate",
    "Comparison",
    "DistShift",
    "IrrelevantDistShift",
    "ItemPopularityBaseline",
    "Metric",
    "MetricsAccumulator",
    "NotIrrelevantDistShift",
    "Precision",
    "QueryExample",
    "QueryMean",
    "RandomBaseline",
    "RankedLists",
    "RankedResult",
    "Recall",
    "Report",
    "TitleOverlapBaseline",
    "WeightedClicks",
    "bootstrap_interval",
    "click_estimates",
    "compare",
    "compared_macro_f1",
    "evaluation_advice",
    "fine_tuning_outcome",
    "learning_verdict",
    "level_of_curve",
    "macro_f1",
    "mean_over_queries",
    "order_within",
    "paired_randomization_p",
    "rank_lists",
    "rank_matrix",
    "ranking_depth",
    "top_rows",
    "worst_classes",
]
