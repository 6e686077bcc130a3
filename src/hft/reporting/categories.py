"""Scores of categories as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hft.reporting.numbers import format_difference, format_interval, format_value

# Of the worst categories; report.json holds more.
_WORST_SHOWN = 5


def category_tables(found: Mapping[str, Any]) -> Iterator[tuple[str, str, RenderableType]]:
    """(title, explanation, table) of macro-F1 and of the worst categories.

    Args:
        found: `categories` of a report.
    """
    of_levels = "" if not found["levels"] else ", by level of the hierarchy"
    yield "Categories", f"macro-F1: the mean over the categories{of_levels}", _scores_table(found)
    without = found["without_query"]
    unasked = f"; {without:,} have no test query" if without else ""
    yield "Worst categories", f"by F1{unasked}", _worst_table(found["worst"][:_WORST_SHOWN])


def _scores_table(found: Mapping[str, Any]) -> Table:
    has_tuned = found["macro_f1"]["tuned"] is not None
    table = _table()
    headings = ("start", "tuned", "difference", "95% interval") if has_tuned else ("value", "95% interval")
    for heading in (*headings, "accuracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    whole = {"macro_f1": found["macro_f1"]}
    rows = [(f"level {of['level']} ({of['categories']:,})", of) for of in found["levels"]] or [("macro-F1", whole)]
    for name, row in rows:
        scores, accuracy = row["macro_f1"], row.get("accuracy")
        cells = [format_value(scores["start"]), format_interval(scores["start_interval"])]
        if has_tuned:
            interval = format_interval(scores["interval"], signed=True)
            moved = format_difference(scores["difference"])
            cells = [format_value(scores["start"]), format_value(scores["tuned"]), moved, interval]
        reached = None if accuracy is None else accuracy["start"] if not has_tuned else accuracy["tuned"]
        table.add_row(name, *cells, "" if reached is None else format_value(reached))
    return table


def _worst_table(worst: list[Mapping[str, Any]]) -> Table:
    table = _table()
    for heading in ("F1", "recall", "95% interval", "queries"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("taken for", overflow="fold")
    for scores in worst:
        confused = [f"{other['name']} {other['share']:.0%}" for other in scores["confused_with"]]
        table.add_row(
            Text(scores["name"]),
            format_value(scores["f1"]),
            format_value(scores["recall"]),
            format_interval(scores["recall_interval"]),
            f"{scores['queries']:,}",
            Text(", ".join(confused)),
        )
    return table


def _table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("", overflow="fold", min_width=12)
    return table
