"""Whether what a run is judged by is computed, can judge it, and in the right direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hft.config.report import CheckReport, Finding, listed, nearest
from hft.config.targets import TargetChecker
from hft.config.tree import UNKNOWN, ConfigTree


@dataclass(frozen=True)
class _Metric:
    """What the source tells of a metric.

    Args:
        is_higher_better: None where it does not tell.
        compares_with_start: whether the starting model has no value of it.
    """

    is_higher_better: bool | None
    compares_with_start: bool


def check_metrics(tree: ConfigTree, checker: TargetChecker, report: CheckReport) -> None:
    """Check `metrics.calculators`, and the metrics that method and search name. One that cannot be read ends it."""
    metrics = _computed(tree, checker)
    if metrics is None:
        return
    ranking = [name for name, metric in metrics.items() if not metric.compares_with_start]
    if metrics and not ranking:
        report.errors.append(
            Finding(
                "metrics.calculators",
                f"{listed(metrics)} only compare with the starting model; no metric is left to judge a model by",
                "at least one ranking metric",
                advice="add one: +metrics.calculators.ndcg={_target_:hft.metrics.NDCG,k:10}",
            )
        )
        return
    for part, key in (("method", "method.main_metric"), ("search", "search.metric")):
        name = tree.get(key)
        if tree.is_reference(key) or not isinstance(name, str):
            continue
        if name not in metrics:
            report.errors.append(
                Finding(
                    key,
                    f"{name} is none of the metrics that are computed",
                    listed(metrics),
                    nearest(name, metrics),
                    "choose one of them, or add it under metrics.calculators",
                )
            )
        elif part == "method" and metrics[name].compares_with_start:
            report.errors.append(
                Finding(
                    key,
                    f"{name} compares with the starting model, which therefore has no value of it, and the best "
                    "weights are those that beat the start",
                    listed(ranking),
                )
            )
        else:
            _check_direction(tree, f"{part}.direction", name, metrics[name], report)


def _check_direction(tree: ConfigTree, key: str, name: str, metric: _Metric, report: CheckReport) -> None:
    direction = tree.get(key)
    if metric.is_higher_better is None or direction not in ("maximize", "minimize"):
        return
    better, in_words = ("maximize", "higher") if metric.is_higher_better else ("minimize", "lower")
    if direction != better:
        report.warnings.append(Finding(key, f"found {direction}, but {name} is better when {in_words}", better))


def _computed(tree: ConfigTree, checker: TargetChecker) -> dict[str, _Metric] | None:
    """The computed metrics by name; None where one cannot be told."""
    calculators = tree.get("metrics.calculators")
    if not isinstance(calculators, dict):
        return None
    metrics: dict[str, _Metric] = {}
    for node in calculators.values():
        base: Any = checker.constant_of(node, "base_name")
        if not isinstance(base, str):
            return None
        cut = checker.argument(node, "k")
        if cut is UNKNOWN:
            return None
        higher = checker.constant_of(node, "higher_is_better")
        metrics[base if cut is None else f"{base}@{cut}"] = _Metric(
            higher if isinstance(higher, bool) else None,
            checker.constant_of(node, "compares_with_start") is True,
        )
    return metrics
