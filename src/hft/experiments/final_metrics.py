"""A report as flat metrics: what a record keeps, what a store shows, what a reproduction compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def metrics_of_report(report: Mapping[str, Any]) -> dict[str, float]:
    """Flattens a report (its `to_dict`) into names that carry their split.

    For each metric of the test and the validation split: `test_ndcg@10` (tuned; the starting model's where
    nothing was tuned), `test_ndcg@10_start`, `_difference` and `_p`; and `test_bm25_ndcg@10` for each baseline,
    `test_not_irrelevant_dist_shift` for each shift; `test_macro_f1` of categories. What is absent in the report is
    absent here.
    """
    return dict(_metrics(report))


def _metrics(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for split in ("test", "validation"):
        for metric, comparison in (report.get(split) or {}).items():
            yield from _comparison(f"{split}_{metric}", comparison)
    for baseline, values in (report.get("baselines") or {}).items():
        for metric, value in values.items():
            yield f"test_{baseline}_{metric}", float(value)
    for shift, value in (report.get("shifts") or {}).items():
        yield f"test_{shift}", float(value)
    if report.get("categories"):
        yield from _comparison("test_macro_f1", report["categories"]["macro_f1"])


def _comparison(name: str, comparison: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    value = comparison["start"] if comparison.get("tuned") is None else comparison["tuned"]
    yield name, float(value)
    for part in ("start", "difference", "p"):
        if comparison.get(part) is not None:
            yield f"{name}_{part}", float(comparison[part])
