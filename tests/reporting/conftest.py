"""Reports as dictionaries, as a run writes them: two models, or one before any fine-tuning."""

from __future__ import annotations

from typing import Any

import pytest


def comparison(start: float, tuned: float | None, p: float = 0.00005) -> dict[str, Any]:
    two = tuned is not None
    difference = tuned - start if tuned is not None else None
    return {
        "start": start,
        "tuned": tuned,
        "difference": difference,
        "interval": [difference - 0.02, difference + 0.02] if difference is not None else None,
        "p": p if two else None,
        "queries": 1730,
        "left_out": 0,
        "start_interval": [start - 0.02, start + 0.02],
        "tuned_interval": [tuned - 0.02, tuned + 0.02] if tuned is not None else None,
    }


def results(*gains: float) -> list[dict[str, Any]]:
    return [{"text": f"result number {number}", "gain": gain} for number, gain in enumerate(gains)]


def make_report(*, tuned: bool) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "main_metric": "ndcg@10",
        "direction": "maximize",
        "candidates": "corpus",
        "conclusion": "The sentence that concludes.",
        "test": {
            "ndcg@10": comparison(0.423, 0.475 if tuned else None),
            "mrr@10": comparison(0.401, 0.399 if tuned else None, p=0.4321),
        },
        "validation": {},
        "baselines": {
            "bm25": {"ndcg@10": 0.45, "mrr@10": 0.43},
            "title_overlap": {"ndcg@10": 0.3, "mrr@10": 0.2},
        },
        "slices": {"query seen in training": {"ndcg@10": comparison(0.5, 0.6 if tuned else None)}},
        "shifts": {"not_irrelevant_dist_shift": 0.0213} if tuned else {},
        "examples": [
            {
                "query": "how to read a file",
                "start": 0.2,
                "tuned": 0.9 if tuned else None,
                "before": results(0, 0, 1),
                "after": results(1, 0, 0) if tuned else [],
            }
        ],
        "curves": {
            "train_loss": [[step, 2.0 - step / 100] for step in range(1, 101)],
            "validation_loss": [[0, 2.0], [50, 1.5], [100, 1.4]],
            "validation_ndcg@10": [[0, 0.42], [50, 0.46], [100, 0.47]],
        }
        if tuned
        else {},
        "verdict": "improving: it rose and levelled off" if tuned else "",
        "counts": {},
        "seconds": {},
    }


@pytest.fixture
def report() -> dict[str, Any]:
    return make_report(tuned=True)


@pytest.fixture
def report_of_one() -> dict[str, Any]:
    return make_report(tuned=False)
