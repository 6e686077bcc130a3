"""`hft runs --tree`: the iterations of each method as a history."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hft.terminal import escaped_line

if TYPE_CHECKING:
    from hft.experiments.history import IterationRow, Significance

_WIDTH_OF_A_FILE = 200  # characters a line where nobody watches; no line is wrapped there


def show_tree(outputs: str, *, as_json: bool) -> int:
    """Prints the iterations.

    Args:
        outputs: where runs land.
        as_json: for scripts: a list with one object an iteration; what could not be read is told on stderr.
    """
    from hft.experiments.history import history

    rows, notes = history(outputs, _paired_test)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        for note in notes:
            print(escaped_line(note), file=sys.stderr)
        return 0
    if not rows and not notes:
        print(f"No run under {outputs} yet. `hft train -m` makes the first iteration.")
    _print_rows(rows, notes)
    return 0


def _paired_test(other: Any, winner: Any) -> Significance:
    from hft.experiments.history import Significance
    from hft.metrics.comparison import compare

    found = compare(other, winner)
    assert found.difference is not None
    assert found.interval is not None
    assert found.p is not None
    return Significance(found.difference, found.p, found.queries, interval=found.interval)


def _print_rows(rows: list[IterationRow], notes: Iterable[str]) -> None:
    from rich.text import Text

    from hft.consoles import Console

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    ambiguous = _ambiguous(rows)
    method = None
    for row in rows:
        if row.method != method:
            method = row.method
            console.print(Text(escaped_line(method), "bold"))
        indent = "  " * (row.depth + 1)
        champion = f"  * champion {(row.champion or '')[:8]}" if row.is_champion else ""
        name, origin = escaped_line(row.name), _origin(row, shows_data=_where(row) in ambiguous)
        console.print(
            Text.assemble(indent, (name, "bold"), f"  {escaped_line(origin)}", (champion, "green")),
            soft_wrap=True,
        )
        for line in _results(row):
            console.print(Text(f"{indent}  {escaped_line(line)}"), soft_wrap=True)
    for note in notes:
        console.print(Text(escaped_line(note), "yellow"), soft_wrap=True)


def _where(row: IterationRow) -> tuple[str, str, str]:
    return row.method, row.name, str(row.batches)


def _ambiguous(rows: list[IterationRow]) -> set[tuple[str, str, str]]:
    """Iterations that have several data under the same name of a batch."""
    counts = Counter(map(_where, rows))
    return {where for where, number in counts.items() if number > 1}


def _origin(row: IterationRow, *, shows_data: bool) -> str:
    """`batch 2, from initial (1f2e3d4c), 30 runs (28 trials, 2 failed)`."""
    batches = ", ".join(str(batch) for batch in row.batches if batch is not None)
    data = f"data {row.data[:8]}" if shows_data and row.data else ""
    parent = None if row.parent is None else f"from {row.parent_iteration or 'a run that is gone'} ({row.parent[:8]})"
    counts = [_counted(row.trials, "trial") if row.trials else "", f"{row.failed} failed" if row.failed else ""]
    inside = ", ".join(filter(None, counts))
    runs = _counted(row.runs, "run") + (f" ({inside})" if inside else "")
    return ", ".join(filter(None, (f"batch {batches}" if batches else "", data, parent, runs)))


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _results(row: IterationRow) -> list[str]:
    if row.winner is None:
        return ["no run is done"]
    lines = [f"best {row.winner_name or row.winner[:8]}: {row.metric} {_moved(row.start, row.best)} on validation"]
    if row.test is None:
        return lines
    tested = row.against_initial if row.parent is None else row.against_parent
    # A comparison has one p: on the line of its test, or where there are no values a query, here.
    lines.append(f"test {_moved(row.test_start, row.test)}{_p(row.test_p) if tested is None else ''}")
    if row.against_parent is not None:
        lines.append(f"against its start: {_tested(row.against_parent)}")
    if row.against_initial is not None:
        lines.append(f"against the initial model: {_tested(row.against_initial)}")
    elif row.parent is not None:
        lines.append("against the initial model: not measured")
    return lines


def _tested(found: Significance) -> str:
    """`+0.0213 (p 0.0310, 95% +0.0021 to +0.0398), 45 queries`, or `..., on 38 of 126 queries, those that ...`."""
    interval = "" if found.interval is None else f", 95% {found.interval[0]:+.4f} to {found.interval[1]:+.4f}"
    told = f"{found.difference:+.4f}{_p(found.p)[:-1]}{interval}), "
    if found.of_queries is None:
        return f"{told}{found.queries:,} queries"
    return (
        f"{told}on {found.queries:,} of {found.of_queries:,} queries, those that a run from the initial model has too"
    )


def _moved(start: float | None, value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.4f}" if start is None else f"{start:.4f} -> {value:.4f}"


def _p(p: float | None) -> str:
    from hft.metrics.conclusion import format_p

    return "" if p is None else f" (p {format_p(p)})"
