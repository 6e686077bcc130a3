"""The report as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hft.consoles import Console
from hft.reporting.categories import category_tables
from hft.reporting.leakage_table import leakage_table
from hft.reporting.numbers import (
    format_difference,
    format_interval,
    format_p,
    format_value,
    is_better,
    is_significant,
)

_CANDIDATES = {
    "shown": "over the list that each session was shown",
    "corpus": "over the whole pool of items",
}
# Characters a line where nobody watches.
WIDTH_OF_A_FILE = 110
_SPACE_ABOVE = (1, 0, 0, 0)
_BETTER, _WORSE, _QUIET = "bold green", "bold red", "dim"


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints the test table, baselines and slices below it, the verdict and the conclusion.

    Args:
        report: `Report.to_dict()`, of two models or, before any fine-tuning, of one.
        console: where to; None is standard output.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:  # a file has no edge to wrap at
            console.width = WIDTH_OF_A_FILE
    console.print(Group(*_parts(report)))


def _parts(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    two = _has_tuned(report)
    what = "start against tuned" if two else "the model as it is"
    yield _heading("Test split", f"{what}, {_CANDIDATES[report['candidates']]}")
    yield _comparison_table(report) if two else _single_table(report)
    if note := _bound_note(report["test"]):
        yield _note(note)
    left_out = report["test"][report["main_metric"]]["left_out"]
    if left_out:
        yield _note(f"{left_out:,} test queries without a relevant item are left out: no ranking can serve them.")
    if str(report.get("precision", "")).startswith("bf16"):
        yield _note(
            f"Computed in {report['precision']}, as in training. The saved model computes in float32, where a "
            "metric may differ by some .001: hft evaluate with trainer.precision=32-true says by how much."
        )
    if report["baselines"]:
        ahead = f"; lead: of the {'tuned ' * _has_tuned(report)}model, 95%" if report.get("baseline_leads") else ""
        yield _heading("Baselines", f"the same queries, without a model{ahead}")
        yield _baselines_table(report)
        if report.get("baseline_notes"):
            yield _note(". ".join(report["baseline_notes"]) + ".")
    if report.get("texts"):
        some = report["texts"][0]
        told = f"{some['sessions']:,} of {some['of_sessions']:,} sessions"
        yield _heading(
            "Which text?",
            f"{report['main_metric']} of the untouched model by fields of the items, on validation: {told}",
        )
        yield _texts_table(report["texts"])
    if report.get("categories"):
        for title, explanation, table in category_tables(report["categories"]):
            yield _heading(title, explanation)
            yield table
    if report["slices"]:
        yield _heading("Slices of the test split", report["main_metric"])
        yield _slices_table(report)
        main = report["main_metric"]
        if note := _bound_note({name: found[main] for name, found in report["slices"].items() if main in found}):
            yield _note(note)
    if report.get("small_slices"):
        told = ", ".join(f"{name} ({count:,})" for name, count in report["small_slices"].items())
        yield _note(f"Slices of too few queries for a value: {told}.")
    if report.get("leakage"):
        yield _heading("Leakage", "what of a held-out split is in train too")
        yield leakage_table(report["leakage"])
    if report.get("clicks"):
        some = next(iter(report["clicks"].values()))
        told = f"{some['clicks']:,} clicks, worth {some['effective_sample_size']:,.0f} of equal weight"
        yield _heading("Clicks on the test split", f"weighted by inverse propensities, lists re-ranked; {told}")
        yield _clicks_table(report)
    for note in report.get("click_notes", ()):
        yield _line("Click model", note)
    if report["shifts"]:
        yield _note("Shifts: " + ", ".join(f"{name} {value:+.4f}" for name, value in report["shifts"].items()))
    if report["verdict"]:
        yield _line("Learning", report["verdict"])
    yield _line("Conclusion", report["conclusion"])


def _comparison_table(report: Mapping[str, Any]) -> Table:
    table = _table()
    for heading in ("start", "tuned", "difference", "95% interval", "p", "queries"):
        table.add_column(heading, justify="right", no_wrap=True)
    for metric, found in report["test"].items():
        table.add_row(_metric_name(metric, report), *_comparison_cells(found, report["direction"]))
    return table


def _bound_note(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Which rows' intervals (and p) are by the bound, and why; empty if none is."""
    shown = {name: "start_interval" if found["tuned"] is None else "interval" for name, found in rows.items()}
    names = [name for name, interval in shown.items() if interval in rows[name].get("by_bound", ())]
    if not names:
        return ""
    which = ", ".join(names) if len(names) < len(rows) else "all rows"
    return (
        f"Few or skewed queries ({which}): interval and p are those of a bound that holds for any distribution, not of "
        "resampling. They are wider, so that they hold."
    )


def _single_table(report: Mapping[str, Any]) -> Table:
    table = _table()
    for heading in ("value", "95% interval", "queries"):
        table.add_column(heading, justify="right", no_wrap=True)
    for metric, found in report["test"].items():
        table.add_row(_metric_name(metric, report), *_single_cells(found))
    return table


def _baselines_table(report: Mapping[str, Any]) -> Table:
    """Baselines and models together, best first by the main metric: the order is the message."""
    table = _table()
    metrics = list(report["test"])
    for metric in metrics:
        table.add_column(metric, justify="right", no_wrap=True)
    leads = _leads(report)
    if leads:
        table.add_column(f"lead in {report['main_metric']}", justify="right", no_wrap=True)
    models = {"start model": "start", "tuned model": "tuned"} if _has_tuned(report) else {"the model": "start"}
    rows = {name: {m: report["test"][m][model] for m in metrics} for name, model in models.items()}
    rows.update(report["baselines"])
    reverse = report["direction"] == "maximize"
    main = report["main_metric"]
    known = sorted((row for row in rows if main in rows[row]), key=lambda row: rows[row][main], reverse=reverse)
    for name in [*known, *(row for row in rows if main not in rows[row])]:
        cells = [format_value(rows[name].get(metric)) for metric in metrics] + ([leads.get(name, "")] if leads else [])
        table.add_row(name.replace("_", " "), *cells, style="bold" if name in models else "")
    return table


def _texts_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table()
    for heading in ("value", "difference", "95% interval", "queries"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = ["as it is", ""]
        if row["interval"] is not None:
            cells = [format_difference(row["difference"]), format_interval(row["interval"], signed=True)]
        style = "bold" if row["used"] else ""
        table.add_row(Text(row["fields"]), format_value(row["value"]), *cells, f"{row['queries']:,}", style=style)
    return table


def _leads(report: Mapping[str, Any]) -> dict[str, str]:
    """By row of the baselines' table, how far the (tuned) model is ahead of it, with the 95% interval."""
    found = dict(report.get("baseline_leads", {}))
    if found and _has_tuned(report):
        found["start model"] = report["test"][report["main_metric"]]
    return {
        name: f"{format_difference(lead['difference'])} ({format_interval(lead['interval'], signed=True)})"
        for name, lead in found.items()
    }


def _slices_table(report: Mapping[str, Any]) -> Table:
    metric = report["main_metric"]
    table = _table()
    headings = ("start", "tuned", "difference", "95% interval", "p", "queries")
    for heading in headings if _has_tuned(report) else ("value", "95% interval", "queries"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, of_slice in report["slices"].items():
        found = of_slice.get(metric)
        if found is None:
            continue
        cells = _comparison_cells(found, report["direction"]) if _has_tuned(report) else _single_cells(found)
        table.add_row(Text(name), *cells)
    return table


def _clicks_table(report: Mapping[str, Any]) -> Table:
    table = _table()
    two = _has_tuned(report)
    for heading in ("as shown", "start", *(("tuned", "difference") if two else ()), "95% interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, found in report["clicks"].items():
        cells = [format_value(found["shown"]), format_value(found["start"])]
        if two:
            cells += [format_value(found["tuned"]), format_difference(found["difference"])]
        interval = format_interval(found["interval"], signed=True) if two else format_interval(found["start_interval"])
        table.add_row(Text(name), *cells, interval)
    return table


def _comparison_cells(found: Mapping[str, Any], direction: str) -> list[RenderableType]:
    style = ""
    if is_significant(found):
        style = _BETTER if is_better(found["difference"], direction) else _WORSE
    return [
        Text(format_value(found["start"])),
        Text(format_value(found["tuned"])),
        Text(format_difference(found["difference"]), style=style),
        Text(format_interval(found["interval"], signed=True)),
        Text(format_p(found["p"])),
        Text(f"{found['queries']:,}"),
    ]


def _single_cells(found: Mapping[str, Any]) -> list[RenderableType]:
    return [
        Text(format_value(found["start"])),
        Text(format_interval(found["start_interval"])),
        Text(f"{found['queries']:,}"),
    ]


def _metric_name(metric: str, report: Mapping[str, Any]) -> Text:
    return Text(metric, style="bold" if metric == report["main_metric"] else "")


def _heading(title: str, explanation: str) -> Padding:
    return Padding(Text.assemble((title, "bold"), (f"  {explanation}", _QUIET)), _SPACE_ABOVE)


def _table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("", overflow="fold", min_width=12)
    return table


def _note(text: str) -> Padding:
    return Padding(Text(text, style=_QUIET), _SPACE_ABOVE)


def _line(label: str, text: str) -> Padding:
    return Padding(Text.assemble((f"{label}: ", "bold"), text), _SPACE_ABOVE)


def _has_tuned(report: Mapping[str, Any]) -> bool:
    return report["test"][report["main_metric"]]["tuned"] is not None
