"""Whether what a run is judged by is computed, can judge it, and in the right direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hft.config.report import CheckReport, Finding, listed, nearest
from hft.config.targets import TargetChecker
from hft.config.tree import UNKNOWN, ConfigTree

# Before the name of a metric of the validation split, which alone a search may look at.
_OF_VALIDATION = "validation_"
_OF_OTHER_SPLITS = ("test_", "train_")

# Logged for validation beside the metrics.
_LOSS = "loss"


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
    _check_main_metric(tree, metrics, ranking, report)
    _check_metrics_of_search(tree, metrics, report)


def _check_main_metric(tree: ConfigTree, metrics: dict[str, _Metric], ranking: list[str], report: CheckReport) -> None:
    key = "method.main_metric"
    name = tree.get(key)
    if tree.is_reference(key) or not isinstance(name, str):
        return
    if name not in metrics:
        report.errors.append(_not_computed(key, name, metrics))
    elif metrics[name].compares_with_start:
        report.errors.append(
            Finding(
                key,
                f"{name} compares with the starting model, which therefore has no value of it, and the best "
                "weights are those that beat the start",
                listed(ranking),
            )
        )
    else:
        _check_direction("method.direction", tree.get("method.direction"), name, metrics[name], report)


def _check_metrics_of_search(tree: ConfigTree, metrics: dict[str, _Metric], report: CheckReport) -> None:
    """Each metric that trials are judged by, with a direction each. `validation_` may stand before its name."""
    key = "search.metric"
    names, directions = _listed(tree.get(key)), _listed(tree.get("search.direction"))
    if len(names) != len(directions):
        found = f"found {len(directions)} for {len(names)} metrics (search.metric)"
        report.errors.append(Finding("search.direction", found, "maximize or minimize for each, in a list"))
        return
    if tree.is_reference(key):
        return  # told at the method
    for name, direction in zip(names, directions, strict=True):
        if not isinstance(name, str):
            continue
        bare = name.removeprefix(_OF_VALIDATION)
        if name.startswith(_OF_OTHER_SPLITS):
            found = f"found {name}: trials are judged on validation; test is read once, for the winner"
            report.errors.append(Finding(key, found, listed(metrics), name.partition("_")[2]))
        elif bare == _LOSS:
            _check_direction("search.direction", direction, name, _Metric(False, False), report)
        elif bare not in metrics:
            report.errors.append(_not_computed(key, name, metrics))
        else:
            _check_direction("search.direction", direction, name, metrics[bare], report)


def _not_computed(key: str, name: str, metrics: dict[str, _Metric]) -> Finding:
    return Finding(
        key,
        f"{name} is none of the metrics that are computed",
        listed(metrics),
        nearest(name.removeprefix(_OF_VALIDATION), metrics),
        "choose one of them, or add it under metrics.calculators",
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check_direction(key: str, direction: Any, name: str, metric: _Metric, report: CheckReport) -> None:
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
