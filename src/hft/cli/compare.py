"""`hft compare RUN RUN`: settings that differ, metrics side by side, and whether the difference is more than chance."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hft.terminal import escaped_line

if TYPE_CHECKING:
    from hft.consoles import Console
    from hft.experiments.run_record import RunRecord
    from hft.experiments.side_by_side import SideBySide, Split

SPLITS: tuple[Split, ...] = ("test", "validation")
Significance = dict[str, dict[str, Any]]

# What a run's own report says of its start and its tuned model; a difference of two such means nothing.
_OF_ONE_RUN = ("_difference", "_p")

_WIDTH_OF_A_FILE = 200  # characters a line where nobody watches; no name is shortened there


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
    significance = {split: _significance(first, second, split) for split in SPLITS}
    if args.json:
        _print_json(first, second, compared, significance)
    else:
        _print_tables(first, second, compared, significance)
    return 0


def _significance(first: RunRecord, second: RunRecord, split: Split = "test") -> dict[str, dict[str, Any]]:
    """By metric, over the queries of a split that both runs have: mean difference, 95% interval, p, changed queries."""
    import numpy as np

    from hft.experiments.side_by_side import paired_values
    from hft.metrics.comparison import compare

    found = {}
    for metric, (ours, theirs) in paired_values(first, second, split=split).items():
        known = ~(np.isnan(ours) | np.isnan(theirs))
        if known.any():
            of_metric = compare(ours[known], theirs[known]).to_dict()
            found[metric] = {key: of_metric[key] for key in ("difference", "interval", "p", "queries", "by_bound")}
            found[metric]["changed"] = int((ours[known] != theirs[known]).sum())
    return found


def _print_json(
    first: RunRecord, second: RunRecord, compared: SideBySide, significance: Mapping[Split, Significance]
) -> None:
    import json

    value = {
        "runs": [{"run_id": record.run_id, "folder": str(record.folder)} for record in (first, second)],
        "settings": {key: [one, other] for key, one, other in compared.settings},
        "surroundings": {key: [one, other] for key, one, other in compared.surroundings},
        "metrics": {name: list(values) for name, values in compared.metrics.items()},
        "significance": significance["test"],
        "significance_on_validation": significance["validation"],
    }
    print(json.dumps(value, indent=2))


def _print_tables(
    first: RunRecord, second: RunRecord, compared: SideBySide, significance: Mapping[Split, Significance]
) -> None:
    from rich.table import Table

    from hft.consoles import Console

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    headings = (first.run_id[:8], second.run_id[:8])
    for title, differences in (("settings", compared.settings), ("surroundings", compared.surroundings)):
        if not differences:
            console.print(f"The {title} are the same.")
            continue
        table = Table(title, *headings, box=None, pad_edge=False, header_style="bold")
        for key, one, other in differences:
            table.add_row(escaped_line(key), escaped_line(one), escaped_line(other))
        console.print(table)
        console.print()
    _print_metrics(console, headings, compared.metrics)
    for split, found in significance.items():
        _print_significance(console, found, split)
    differ = first.hashes.get("data") != second.hashes.get("data")
    if not any(significance.values()):
        console.print("No test of significance: the runs kept no values of the same queries.")
    elif differ:
        console.print("The runs had different data: only the queries that both have were compared.")
    if differ:
        console.print(_on_the_same_data(first, second), soft_wrap=True)


def _on_the_same_data(first: RunRecord, second: RunRecord) -> str:
    """How to compare runs of different data: both models measured on one batch."""
    batch = (second.config.get("data") or {}).get("batch_id")
    data = "data.batch_id=..." if batch is None else f"data.batch_id={batch}"
    return (
        f"To compare the models on the same data: `hft evaluate {first.run_id[:8]} {data}` measures one on the data of "
        f"your choice, and `hft promote {second.run_id[:8]} {data}` tests one against the champion there."
    )


def _print_metrics(
    console: Console, headings: tuple[str, str], metrics: dict[str, tuple[float | None, float | None]]
) -> None:
    """The models on the test split, then the rest (validation, baselines, shifts); what is equal is only counted."""
    from rich.table import Table

    told = {name: values for name, values in metrics.items() if not name.endswith(_OF_ONE_RUN)}
    differ = {name: values for name, values in told.items() if values[0] != values[1]}
    of_models = {name for name in differ if name.startswith("test_") and _stem(name) + "_start" in metrics}
    for title, names in (("test metric", of_models), ("other metric", differ.keys() - of_models)):
        if not names:
            continue
        table = Table(title, *headings, "difference (second - first)", box=None, pad_edge=False, header_style="bold")
        for name, (one, other) in differ.items():
            if name in names:
                gap = "" if one is None or other is None else f"{other - one:+.4f}"
                table.add_row(escaped_line(name), _number(one), _number(other), gap)
        console.print(table)
        console.print()
    if len(differ) < len(told):
        equal = len(told) - len(differ)
        said = (
            f"{equal} of {len(told)} metrics are equal and not shown." if differ else f"All {equal} metrics are equal."
        )
        console.print(said)
        console.print()


def _print_significance(console: Console, significance: Significance, split: str) -> None:
    from rich.table import Table

    from hft.metrics.comparison import SIGNIFICANT_BELOW
    from hft.metrics.conclusion import format_p

    shown = {metric: found for metric, found in significance.items() if found["changed"]}
    if shown:
        said = f"The tuned models (second - first) over the {split} queries that both runs have:"
        console.print(said, soft_wrap=True)
        table = Table(
            "metric", "queries", "difference", "95% interval", "p", box=None, pad_edge=False, header_style="bold"
        )
        for metric, found in shown.items():
            low, high = found["interval"]
            interval = f"{low:+.4f} to {high:+.4f}"
            table.add_row(
                metric, f"{found['queries']:,}", f"{found['difference']:+.4f}", interval, format_p(found["p"])
            )
        console.print(table)
        flattered = "; validation chose both models, which flatters them" if split == "validation" else ""
        said = (
            f"A difference with p below {SIGNIFICANT_BELOW} is more than chance: the interval leaves out 0{flattered}."
        )
        console.print(said, soft_wrap=True)
        by_bound = [metric for metric, found in shown.items() if "interval" in found["by_bound"]]
        if by_bound:
            said = f"Few or skewed queries ({', '.join(by_bound)}): by a bound that holds for any distribution."
            console.print(said, soft_wrap=True)
    elif significance:
        console.print(f"The tuned models score the same for every {split} query that both have.")


def _stem(name: str) -> str:
    return name.removesuffix("_start")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
