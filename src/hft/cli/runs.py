"""`hft runs`: the runs of the current folder, newest first; and what a tracking store missed, pushed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hft.experiments import RunRow

_STYLES = {"done": "green", "running": "cyan", "failed": "red", "interrupted": "yellow", "broken": "red"}

_WIDTH_OF_A_FILE = 200  # characters a line where nobody watches; no line is wrapped there
_INDENT = "  "
_SHORTEST_OVERRIDES = 20  # characters of them that stay, however narrow the terminal is


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft runs`."""
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")
    parser.add_argument("--limit", metavar="N", type=_count, default=20, help="show at most N; 0: all (default: 20)")
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")
    parser.add_argument("--sync", action="store_true", help="push to the tracking store what it missed while away")


def run(args: argparse.Namespace) -> int:
    """List, or push; 1 where something could not be pushed."""
    if args.sync:
        return _sync(args)
    from hft.experiments import list_runs

    rows = list_runs(args.outputs, args.limit or None)
    if args.json:
        _print_json([_as_dict(row) for row in rows])
    elif rows:
        _print_table(rows)
    else:
        print(f"No run under {args.outputs} yet. `hft train` makes one.")
    return 0


def _sync(args: argparse.Namespace) -> int:
    from hft.experiments import sync

    outcomes = sync(args.outputs)
    if args.json:
        _print_json(
            [
                {"run_id": outcome.record.run_id, "folder": str(outcome.record.folder), "problem": outcome.problem}
                for outcome in outcomes
            ]
        )
    else:
        for outcome in outcomes:
            told = "pushed" if outcome.problem is None else f"not pushed: {outcome.problem}"
            print(f"{outcome.record.run_id[:8]}  {outcome.record.folder}  {told}")
        if not outcomes:
            print(f"Nothing to push: no run under {args.outputs} is pending.")
    return 0 if all(outcome.problem is None for outcome in outcomes) else 1


def _print_table(rows: list[RunRow]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    lines = [("run", "started", "status", "method", "loss", "test", "duration"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    styles = ["bold", *(_STYLES[row.status] for row in rows)]
    for number, (line, style) in enumerate(zip(lines, styles, strict=True)):
        shown = Text("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        begin = widths[0] + widths[1] + 4
        shown.stylize(style, *((begin, begin + widths[2]) if number else (0,)))
        console.print(shown, soft_wrap=True)
        if number:
            console.print(Text(_origin(rows[number - 1], console.width), "dim"), soft_wrap=True)
    for row in rows:
        if row.status == "broken":
            console.print(Text.assemble(("broken", "red"), f" {row.problem or ''}"), soft_wrap=True)
    if any(row.pending for row in rows):
        console.print("* not in the tracking store yet: hft runs --sync")


def _cells(row: RunRow) -> tuple[str, ...]:
    status = row.status + (" *" if row.pending else "")
    what = (row.method or "", row.loss or "", _values(row), _duration(row.seconds))
    return ((row.run_id or "?")[:8], _moment(row.started), status, *what)


def _origin(row: RunRow, width: int) -> str:
    """The line under a run: its name, what it repeats, the overrides that made it (shortened to fit), its folder."""
    from pathlib import Path

    folder = Path(row.folder)
    if folder.is_absolute() and folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    repeats = f"repeats {row.reproduces[:8]}" if row.reproduces else ""
    overrides = " ".join(line for line in row.overrides if not (row.name and line.startswith("run_name=")))
    parts = [_INDENT + (row.name or ""), repeats, overrides, str(folder)]
    room = width - sum(len(part) + 2 for part in parts if part.strip() and part is not overrides) - 2
    if len(overrides) > room:
        parts[2] = f"{overrides[: max(room - 3, _SHORTEST_OVERRIDES)]}..."
    return _INDENT + "  ".join(part.strip() for part in parts if part.strip())


def _moment(started: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(started).astimezone():%Y-%m-%d %H:%M}" if started else ""


def _values(row: RunRow) -> str:
    if row.tuned is None or row.metric is None:
        return ""
    before = "" if row.start is None else f"{row.start:.3f} -> "
    return f"{row.metric} {before}{row.tuned:.3f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


def _as_dict(row: RunRow) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(row)


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number
