"""`hft reproduce RUN`: run a recorded run again and compare; with overrides, run a variation of it."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.terminal import escaped_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.experiments import RunRecord
    from hft.experiments.verdict import Verdict

DOES_NOT_HOLD = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft reproduce`."""
    parser.add_argument("run", metavar="RUN", help="a run folder, or an id or name that `hft runs` lists")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides: run a variation instead")
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")
    parser.add_argument(
        "--trust",
        metavar="TARGET",
        action="append",
        default=[],
        help="let the record's config run this target too (a dotted name, or a package with all that is in it)",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace) -> int:
    """Repeat or vary; 1 where a repeated run is not equal."""
    from hft.experiments import find_run

    recorded = find_run(args.run, args.outputs)
    if args.overrides:
        return _vary(recorded, args)
    return _repeat(recorded, args)


def _repeat(recorded: RunRecord, args: argparse.Namespace) -> int:
    from hft.cli.variation import repeated_config
    from hft.config import check_trusted
    from hft.experiments.reproduce import reproduce, require_finished

    require_finished(recorded)
    written = repeated_config(recorded, args.outputs)
    trusted = check_trusted(written, args.trust)
    _say(f"Repeating run {recorded.run_id[:8]} of {recorded.started} ({recorded.folder})")
    with _results_only(args.json):
        # A winner, of which test was read after its search, is repeated as a complete run: both give the same.
        train = _train if recorded.has_test_values else _train_trial
        verdict, now = reproduce(recorded, trusted, train, written=written)
    if args.json:
        _print_json(verdict, now)
    else:
        _print_table(verdict, recorded, now)
    return 0 if verdict.holds else DOES_NOT_HOLD


def _vary(recorded: RunRecord, args: argparse.Namespace) -> int:
    from hft.cli.variation import vary_config
    from hft.config import check_trusted
    from hft.experiments.reproduce import variation, vary

    varied = vary_config(recorded, args.overrides, args.outputs)
    # The saved config holds no resolver; those that overrides and `tracking` bring are the user's own.
    trusted = check_trusted(varied.config, [*args.trust, *varied.targets], resolvers=True)
    changes = variation(recorded, trusted)
    for warning in varied.warnings:
        _say(f"warning: {warning}")
    _say(f"A variation of run {recorded.run_id[:8]} ({recorded.folder}), not a reproduction. It changes:")
    for key, before, after in changes:
        _say(f"  {key}: {before} -> {after}")
    if not changes:
        _say("  nothing: every override says what the record says")
    with _results_only(args.json):
        now = vary(recorded, trusted, _train, written=varied.config, overrides=args.overrides, choices=varied.choices)
    if args.json:
        import json

        changed = {key: [before, after] for key, before, after in changes}
        value = {"varies": recorded.run_id, "run_id": now.run_id, "folder": str(now.folder), "changed": changed}
        print(json.dumps(value, indent=2))
    return 0


def _train(config: DictConfig, folder: Path) -> Any:
    from hft.train import train

    return train(config, folder=folder)


def _results_only(json: bool) -> AbstractContextManager[Any]:
    """Keeps what the training prints away from the JSON on stdout."""
    return redirect_stdout(sys.stderr) if json else nullcontext()


def _train_trial(config: DictConfig, folder: Path) -> Any:
    from hft.running import repeat_trial

    return repeat_trial(config, folder)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _print_json(verdict: Verdict, now: RunRecord) -> None:
    import json

    from hft.experiments.verdict import as_dict

    print(json.dumps({**as_dict(verdict), "run_id": now.run_id, "folder": str(now.folder)}, indent=2))


def _print_table(verdict: Verdict, recorded: RunRecord, now: RunRecord) -> None:
    from rich.table import Table
    from rich.text import Text

    from hft.consoles import Console

    marks: dict[bool | None, Text | str] = {True: Text("yes", "green"), False: Text("NO", "red"), None: ""}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "recorded", "now", "holds"):
        table.add_column(heading, overflow="fold")
    for check in verdict.checks:
        table.add_row(
            escaped_line(check.what), escaped_line(check.recorded), escaped_line(check.now), marks[check.holds]
        )
    console = Console()
    console.print()
    console.print(f"{recorded.folder} against {now.folder}", soft_wrap=True)
    console.print(table)
    console.print(Text(verdict.sentence, "green" if verdict.holds else "red"), soft_wrap=True)
