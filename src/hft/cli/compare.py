"""`hft compare RUN RUN`: settings that differ, metrics side by side, and whether the difference is more than chance."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hft.experiments.run_record import RunRecord
    from hft.experiments.side_by_side import SideBySide

# What a run's own report says of its start and its tuned model; a difference of two such means nothing.
_OF_ONE_RUN = ("_difference", "_p")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft compare`."""
    parser.add_argument("first", metavar="RUN", help="a run folder, or an id or name that `hft runs` lists")
    parser.add_argument("second", metavar="RUN", help="the run to compare it with")
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the comparison."""
    from hft.experiments import find_run
    from hft.experiments.side_by_side import side_by_side

    first, second = find_run(args.first, args.outputs), find_run(args.second, args.outputs)
    compared = side_by_side(first, second)
    significance = _significance(first, second)
    if args.json:
        _print_json(first, second, compared, significance)
    else:
        _print_tables(first, second, compared, significance)
    return 0


def _significance(first: RunRecord, second: RunRecord) -> dict[str, dict[str, Any]]:
    """By metric, over the queries that both runs were tested on: mean difference, 95% interval, p."""
    import numpy as np

    from hft.experiments.side_by_side import paired_values
    from hft.metrics.comparison import compare

    found = {}
    for metric, (ours, theirs) in paired_values(first, second).items():
        known = ~(np.isnan(ours) | np.isnan(theirs))
        if known.any():
            of_metric = compare(ours[known], theirs[known]).to_dict()
            found[metric] = {key: of_metric[key] for key in ("difference", "interval", "p", "queries")}
    return found


def _print_json(
    first: RunRecord, second: RunRecord, compared: SideBySide, significance: dict[str, dict[str, Any]]
) -> None:
    import json

    value = {
        "runs": [{"run_id": record.run_id, "folder": str(record.folder)} for record in (first, second)],
        "settings": {key: [one, other] for key, one, other in compared.settings},
        "surroundings": {key: [one, other] for key, one, other in compared.surroundings},
        "metrics": {name: list(values) for name, values in compared.metrics.items()},
        "significance": significance,
    }
    print(json.dumps(value, indent=2))


def _print_tables(
    first: RunRecord, second: RunRecord, compared: SideBySide, significance: dict[str, dict[str, Any]]
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    headings = (first.run_id[:8], second.run_id[:8])
    for title, differences in (("settings", compared.settings), ("surroundings", compared.surroundings)):
        if not differences:
            console.print(f"The {title} are the same.")
            continue
        table = Table(title, *headings, box=None, pad_edge=False, header_style="bold")
        for key, one, other in differences:
            table.add_row(key, _text(one), _text(other))
        console.print(table)
        console.print()
    table = Table("metric", *headings, "difference", box=None, pad_edge=False, header_style="bold")
    for name, (one_value, other_value) in compared.metrics.items():
        if name.endswith(_OF_ONE_RUN):
            continue
        gap = None if one_value is None or other_value is None else other_value - one_value
        table.add_row(name, _number(one_value), _number(other_value), "" if gap is None else f"{gap:+.4f}")
    console.print(table)
    console.print()
    for metric, found in significance.items():
        low, high = found["interval"]
        console.print(
            f"test {metric}, the tuned models over {found['queries']} queries that both were tested on: "
            f"{found['difference']:+.4f} (95% {low:+.4f} to {high:+.4f}), p = {found['p']:.2g}",
            soft_wrap=True,
            highlight=False,
        )
    if not significance:
        console.print("No test of significance: the runs kept no values of the same test queries.")
    elif first.hashes.get("data") != second.hashes.get("data"):
        console.print("The runs had different data: only the queries that both have were compared.")


def _text(value: object) -> str:
    from rich.markup import escape

    return escape(str(value))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
