"""Report: plain values that survive JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hft.errors import DataError
from hft.metrics import QueryExample, RankedResult, Report, compare


def report(*, tuned: bool = True) -> Report:
    start = np.random.default_rng(0).random(50)
    found = compare(start, start + 0.1 if tuned else None)
    return Report(
        main_metric="ndcg@10",
        direction="maximize",
        candidates="corpus",
        test={"ndcg@10": found, "mrr@10": found},
        validation={"ndcg@10": found} if tuned else {},
        baselines={"bm25": {"ndcg@10": 0.4, "mrr@10": 0.3}},
        slices={"query seen in training": {"ndcg@10": found}},
        shifts={"not_irrelevant_dist_shift": 0.02},
        examples=(
            QueryExample(
                query="a query",
                start=0.1,
                tuned=0.9 if tuned else None,
                before=(RankedResult("one", 0.0), RankedResult("two", 2.0)),
                after=(RankedResult("two", 2.0),) if tuned else (),
            ),
        ),
        curves={"train_loss": [(1, 0.5), (2, 0.4)]} if tuned else {},
        verdict="improving: so it did" if tuned else "",
        counts={"test_queries": 50},
        seconds={"training": 1.5},
    )


@pytest.mark.parametrize("tuned", [True, False], ids=["two models", "one model"])
def test_a_report_survives_json(tuned: bool) -> None:
    written = json.dumps(report(tuned=tuned).to_dict(), allow_nan=False)
    assert Report.from_dict(json.loads(written)) == report(tuned=tuned)


def test_the_test_metric_holds_what_scripts_read() -> None:
    found = report().to_dict()["test"]["ndcg@10"]
    assert {"start", "tuned", "difference", "interval", "p", "queries"} <= set(found)
    assert found["tuned"] - found["start"] == pytest.approx(found["difference"])


def test_the_conclusion_is_an_outcome_with_two_models_and_advice_with_one() -> None:
    assert report().conclusion.startswith("The tuned model is better")
    assert report(tuned=False).conclusion.startswith("The model beats every baseline")


def test_a_baseline_may_lack_the_main_metric() -> None:
    given = report().to_dict()
    given["baselines"] = {"odd": {"mrr@10": 0.99}}
    assert "odd" not in Report.from_dict(given).conclusion


def test_a_report_of_another_schema_is_refused() -> None:
    with pytest.raises(DataError, match="schema version 99"):
        Report.from_dict({**report().to_dict(), "schema_version": 99})
