"""The report in the terminal."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from hft.reporting import print_report

GREEN, RED = r"\x1b\[1;32m", r"\x1b\[1;31m"


def printed(report: dict[str, Any], width: int = 100, *, colours: bool = False) -> str:
    stream = io.StringIO()
    print_report(
        report,
        Console(file=stream, width=width, force_terminal=colours, color_system="standard" if colours else None),
    )
    return stream.getvalue()


def line_with(text: str, begin: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(begin))


def test_a_metric_stands_in_one_line_with_all_that_was_found(report: dict[str, Any]) -> None:
    line = line_with(printed(report), "ndcg@10")
    cells = ["0.423", "0.475", "+0.052", "+0.032 .. +0.072", "< 0.0001", "1,730"]
    positions = [line.index(cell) for cell in cells]
    assert positions == sorted(positions)


def test_baselines_and_models_stand_in_order_of_the_main_metric(report: dict[str, Any]) -> None:
    text = printed(report)
    baselines = text[text.index("Baselines") : text.index("Slices")]
    order = [baselines.index(name) for name in ("tuned model", "bm25", "start model", "title overlap")]
    assert order == sorted(order)


def test_slices_verdict_shifts_and_conclusion_are_below(report: dict[str, Any]) -> None:
    text = printed(report)
    assert "+0.100" in line_with(text, "query seen in training")
    parts = ["Baselines", "Slices", "not_irrelevant_dist_shift +0.0213", "Learning: improving", "Conclusion: "]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_before_any_fine_tuning_there_is_one_value_its_interval_and_the_advice(
    report_of_one: dict[str, Any],
) -> None:
    text = printed(report_of_one)
    line = line_with(text, "ndcg@10 ")
    assert "0.403 .. 0.443" in printed(report_of_one)
    assert "tuned" not in text
    assert "difference" not in text
    assert "the model" in text
    assert "The sentence that concludes." in text
    assert "0.423" in line


@pytest.mark.parametrize("width", [80, 100, 200])
def test_nothing_is_cut_off_from_80_columns_on(report: dict[str, Any], width: int) -> None:
    report["slices"] = {"results of items not seen in training": report["slices"]["query seen in training"]}
    text = printed(report, width)
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    for cell in ("+0.032 .. +0.072", "< 0.0001", "+0.100", "1,730"):
        assert cell in text


def test_better_is_green_worse_is_red_and_unclear_is_plain(report: dict[str, Any]) -> None:
    text = printed(report, colours=True)
    assert re.search(GREEN + r" *\+0\.052", text)
    assert not re.search(GREEN + r" *-0\.002", text)
    assert not re.search(RED + r" *-0\.002", text)
    report["test"]["mrr@10"]["p"] = 0.001
    assert re.search(RED + r" *-0\.002", printed(report, colours=True))


def test_a_metric_to_be_minimised_is_green_when_it_fell(report: dict[str, Any]) -> None:
    report["direction"] = "minimize"
    assert re.search(RED + r" *\+0\.052", printed(report, colours=True))


def test_queries_that_no_ranking_can_serve_are_mentioned(report: dict[str, Any]) -> None:
    assert "left out" not in printed(report)
    report["test"]["ndcg@10"]["left_out"] = 12
    assert "12 test queries without a relevant item are left out" in printed(report)


def test_a_report_in_bf16_says_so_and_how_to_measure_the_saved_model(report: dict[str, Any]) -> None:
    assert "Computed in" not in printed(report | {"precision": "32-true"})
    told = printed(report | {"precision": "bf16-mixed"}, 200)
    assert "Computed in bf16-mixed" in told
    assert "trainer.precision=32-true" in told


def test_names_with_brackets_are_printed_as_they_are(report: dict[str, Any]) -> None:
    report["slices"] = {"group [bold]x[/bold]": report["slices"]["query seen in training"]}
    report["conclusion"] = "Done [red]so."
    text = printed(report)
    assert "group [bold]x[/bold]" in text
    assert "Done [red]so." in text


def test_an_empty_report_is_printed_with_its_test_table_alone(report: dict[str, Any]) -> None:
    for part in ("baselines", "slices", "shifts", "curves"):
        report[part] = {}
    report["verdict"] = ""
    text = printed(report)
    assert "Baselines" not in text
    assert "Learning" not in text
