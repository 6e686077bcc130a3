"""`hft runs --tree`: the iterations of each method as a history."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hft.experiments.history import IterationRow, Significance

_WIDTH_OF_A_FILE = 200  # characters a line where nobody watches; no line is wrapped there


def show_tree(outputs: str, *, as_json: bool) -> int:
    """Prints the iterations.

    Args:
        outputs: where runs land.
        as_json: for scripts: a list with one object an iteration.
    """
    from hft.experiments.history import history

    rows, notes = history(outputs, _paired_test)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    if not rows:
        print(f"No run under {outputs} yet. `hft train -m` makes the first iteration.")
    _print_rows(rows, notes)
    return 0


def _paired_test(other: Any, winner: Any) -> Significance:
    from hft.experiments.history import Significance
    from hft.metrics.comparison import paired_randomization_p

    differences = winner - other
    return Significance(float(differences.mean()), paired_randomization_p(differences), len(differences))


def _print_rows(rows: list[IterationRow], notes: Iterable[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    method = None
    for row in rows:
        if row.method != method:
            method = row.method
            console.print(Text(method, "bold"))
        indent = "  " * (row.depth + 1)
        champion = "  * champion" if row.is_champion else ""
        console.print(
            Text.assemble(indent, (row.name, "bold"), f"  {_origin(row)}", (champion, "green")), soft_wrap=True
        )
        for line in _results(row):
            console.print(Text(f"{indent}  {line}"), soft_wrap=True)
    for note in notes:
        console.print(Text(note, "yellow"), soft_wrap=True)


def _origin(row: IterationRow) -> str:
    """`batch 2, from initial (1f2e3d4c), 30 runs (28 trials, 2 failed)`."""
    batches = ", ".join(str(batch) for batch in row.batches if batch is not None)
    parent = None if row.parent is None else f"from {row.parent_iteration or 'a run that is gone'} ({row.parent[:8]})"
    counts = [_counted(row.trials, "trial") if row.trials else "", f"{row.failed} failed" if row.failed else ""]
    inside = ", ".join(filter(None, counts))
    runs = _counted(row.runs, "run") + (f" ({inside})" if inside else "")
    return ", ".join(filter(None, (f"batch {batches}" if batches else "", parent, runs)))


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _results(row: IterationRow) -> list[str]:
    if row.winner is None:
        return ["no run is done"]
    lines = [f"best {row.winner_name or row.winner[:8]}: {row.metric} {_moved(row.start, row.best)} on validation"]
    if row.test is not None:
        lines.append(f"test {_moved(row.test_start, row.test)}{_p(row.test_p)}")
    for words, found in (("its start", row.against_parent), ("the initial model", row.against_initial)):
        # Without a parent the start is the initial model, which the line above has told already.
        if found is not None and row.parent is not None:
            lines.append(f"against {words}: {found.difference:+.4f}{_p(found.p)}, {found.queries:,} queries")
    return lines


def _moved(start: float | None, value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.4f}" if start is None else f"{start:.4f} -> {value:.4f}"


def _p(p: float | None) -> str:
    from hft.metrics.conclusion import format_p

    return "" if p is None else f" (p {format_p(p)})"
