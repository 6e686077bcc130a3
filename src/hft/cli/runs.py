"""`hft runs`: the runs of the current folder, newest first, or their iterations; what a store missed; old models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hft.errors import ConfigError
from hft.terminal import escaped_line

if TYPE_CHECKING:
    from hft.experiments import RunRow

_STYLES = {
    "done": "green",
    "running": "cyan",
    "pruned": "dim",
    "failed": "red",
    "interrupted": "yellow",
    "broken": "red",
}

_WIDTH_OF_A_FILE = 200  # characters a line where nobody watches; no line is wrapped there
_OUTPUTS = "outputs"
_ROWS = 20
_INDENT = "  "
_SHORTEST_OVERRIDES = 20  # characters of them that stay, however narrow the terminal is


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft runs`."""
    parser.add_argument("--outputs", metavar="DIR", default=_OUTPUTS, help="where runs land (default: outputs)")
    parser.add_argument("--limit", metavar="N", type=_count, help=f"show at most N; 0: all (default: {_ROWS})")
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")
    parser.add_argument("--trials", action="store_true", help="a row for each trial of a sweep, not one for all")
    views = parser.add_mutually_exclusive_group()
    views.add_argument("--tree", action="store_true", help="the iterations of each method, and how the metric moved")
    views.add_argument("--sync", action="store_true", help="push to the tracking store what it missed while away")
    views.add_argument(
        "--prune", metavar="keep=N", help="remove the models of all but the last N iterations; never a champion's"
    )
    parser.add_argument("--dry-run", action="store_true", help="with --prune: only show what would be removed")


def run(args: argparse.Namespace) -> int:
    """List, push or remove; 1 where something could not be pushed."""
    if args.dry_run and args.prune is None:
        raise ConfigError("--dry-run: goes with --prune keep=N only, which is the one thing here that removes files.")
    _refuse_what_a_view_has_not(args)
    _require_folder(args.outputs)
    if args.sync:
        return _sync(args)
    if args.tree:
        from hft.cli.runs_tree import show_tree

        return show_tree(args.outputs, as_json=args.json)
    if args.prune is not None:
        from hft.cli.runs_prune import prune

        return prune(args.outputs, args.prune, dry_run=args.dry_run, as_json=args.json)
    from hft.experiments import list_runs

    rows = list_runs(args.outputs, (_ROWS if args.limit is None else args.limit) or None, trials=args.trials)
    if args.json:
        _print_json([_as_dict(row) for row in rows])
    elif rows:
        _print_table(rows)
    else:
        print(f"No run under {args.outputs} yet. `hft train` makes one.")
    return 0


def _refuse_what_a_view_has_not(args: argparse.Namespace) -> None:
    views = [f"--{name}" for name in ("tree", "sync") if getattr(args, name)]
    views += ["--prune"] if args.prune is not None else []
    given = [
        option for option, is_given in (("--trials", args.trials), ("--limit", args.limit is not None)) if is_given
    ]
    if views and given:
        raise ConfigError(
            f"{', '.join(given)}: goes with the list of runs only, and {views[0]} is none: leave it out, or leave out "
            f"{views[0]}."
        )


def _require_folder(outputs: str) -> None:
    """Refuses a folder that was given and is not there. Before the first run, the default one is not there either."""
    from pathlib import Path

    if outputs != _OUTPUTS and not Path(outputs).is_dir():
        raise ConfigError(
            f"--outputs: {outputs!r} is no folder (seen from {Path.cwd()}). Give the folder where runs landed, the "
            "`outputs` of their config."
        )


def _sync(args: argparse.Namespace) -> int:
    from hft.cli.own_stores import own_stores
    from hft.experiments import sync, sync_sweeps

    own = own_stores(args.outputs)
    # A sweep first: its trials become its children.
    sweeps = [(None, str(outcome.folder), outcome.problem) for outcome in sync_sweeps(args.outputs, own)]
    runs = [(pushed.record.run_id, str(pushed.record.folder), pushed.problem) for pushed in sync(args.outputs, own)]
    outcomes = [*sweeps, *runs]
    if args.json:
        names = ("run_id", "folder", "problem")
        _print_json([dict(zip(names, outcome, strict=True)) for outcome in outcomes])
    else:
        for run_id, folder, problem in outcomes:
            told = "pushed" if problem is None else f"not pushed: {problem}"
            print(escaped_line(f"{(run_id or 'sweep')[:8]:<8}  {folder}  {told}"))
        if not outcomes:
            print(f"Nothing to push: no run under {args.outputs} is pending.")
    return 0 if all(problem is None for _, _, problem in outcomes) else 1


def _print_table(rows: list[RunRow]) -> None:
    from rich.text import Text

    from hft.consoles import Console

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
            console.print(Text.assemble(("broken", "red"), f" {escaped_line(row.problem or '')}"), soft_wrap=True)
    if any(row.pending for row in rows):
        console.print("* not in the tracking store yet: hft runs --sync")


def _cells(row: RunRow) -> tuple[str, ...]:
    status = row.status + (" *" if row.pending else "")
    what = (row.method or "", row.loss or "", _values(row), _duration(row.seconds))
    return tuple(map(escaped_line, ((row.run_id or "?")[:8], _moment(row.started), status, *what)))


def _origin(row: RunRow, width: int) -> str:
    """The line under a run: its name, what it repeats, the overrides that made it (shortened to fit), its folder."""
    from pathlib import Path

    folder = Path(row.folder)
    if folder.is_absolute() and folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    repeats = f"repeats {row.reproduces[:8]}" if row.reproduces else ""
    overrides = " ".join(line for line in row.overrides if not (row.name and line.startswith("run_name=")))
    best = f"trial {row.trial}" if row.sweep else ""
    if row.trials is not None:
        best = f"best of {row.trials} trials of {row.sweep}"
    overrides, best = escaped_line(overrides), escaped_line(best)
    parts = [_INDENT + escaped_line(row.name or ""), " ".join(filter(None, (best, repeats))), overrides]
    parts.append(escaped_line(folder))
    room = width - sum(len(part) + 2 for part in parts if part.strip() and part is not overrides) - 2
    if len(overrides) > room:
        parts[2] = f"{overrides[: max(room - 3, _SHORTEST_OVERRIDES)]}..."
    return _INDENT + "  ".join(part.strip() for part in parts if part.strip())


def _moment(started: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(started).astimezone():%Y-%m-%d %H:%M}" if started else ""


def _values(row: RunRow) -> str:
    if row.metric is None:
        return ""
    if row.tuned is None:
        return "" if row.validation is None else f"{row.metric} {row.validation:.3f} on validation"
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
