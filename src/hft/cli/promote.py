"""`hft promote RUN`: make a run the champion of its method, if it is shown to be better than the champion."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.terminal import escaped_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.experiments import RunRecord
    from hft.promotion import Promotion, Rival

NOT_PROMOTED = 1

_WIDTH_OF_A_FILE = 200  # characters a line where nobody watches


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft promote`."""
    parser.add_argument("run", metavar="RUN", help="a run folder, or an id or name that `hft runs` lists")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="of the run's config, for example data.batch_id=... or promotion.rule=non_inferior promotion.margin=0.01",
    )
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")
    parser.add_argument("--trust", metavar="TARGET", action="append", default=[], help="as in hft reproduce")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure, decide, and move the alias; 1 where the champion stays."""
    from hft.experiments import find_run
    from hft.experiments.store import TrackingError

    record = _with_promotion(find_run(args.run, args.outputs))
    config, uri = _request(record, args)
    from hft.promotion import promote

    try:
        outcome = promote(record, config, outputs=args.outputs, uri=uri)
    except TrackingError as error:
        raise TrackingError(
            f"{error}\nChampions are kept in that store: start it and promote again, or name another one: "
            "tracking=server tracking.uri=URI, or tracking=local for the file under outputs."
        ) from error
    if args.json:
        import json

        print(json.dumps(_as_dict(outcome), indent=2))
    else:
        _print(outcome)
    return 0 if outcome.verdict is None or outcome.verdict.promoted else NOT_PROMOTED


def _with_promotion(record: RunRecord) -> RunRecord:
    """The record with a whole `promotion` node: an older hft wrote none, or one without a window."""
    from omegaconf import OmegaConf

    from hft.config import compose

    defaults: Any = OmegaConf.to_container(compose([]).promotion, resolve=True)
    recorded = record.config.get("promotion") or {}
    if not defaults.keys() - recorded.keys():
        return record
    own = {"promotion": {**defaults, **recorded}}
    return record.model_copy(
        update={"config": {**record.config, **own}, "config_unresolved": {**record.config_unresolved, **own}}
    )


def _request(record: RunRecord, args: argparse.Namespace) -> tuple[DictConfig, str]:
    """The config to judge by, and the store."""
    from hft.cli.variation import trusted_config

    trusted = trusted_config(record, args.overrides, args.trust, args.outputs)
    asks_for_a_store = any(override.lstrip("+").startswith("tracking") for override in args.overrides)
    return trusted, _store(record, args.outputs, trusted.tracking if asks_for_a_store else None)


def _store(record: RunRecord, outputs: str, tracking: Any) -> str:
    """The address of the store that holds the champions.

    What the overrides name; else MLFLOW_TRACKING_URI; else the store of a run that lies under `outputs`; else the
    SQLite file there.
    """
    import os

    from hft.errors import ConfigError
    from hft.experiments.champions import store_uri
    from hft.experiments.store import may_be_asked, not_asked, sqlite_file

    if tracking is not None and tracking.kind == "mlflow":
        return store_uri(outputs, str(tracking.uri))
    uri = store_uri(outputs)
    recorded = record.tracking.uri if record.tracking.kind == "mlflow" else None
    is_own = record.folder.resolve().is_relative_to(Path(outputs).resolve())
    if recorded and is_own and not os.environ.get("MLFLOW_TRACKING_URI"):
        file = sqlite_file(recorded)
        if not may_be_asked(recorded):
            raise ConfigError(not_asked(recorded))
        if file is None or file.is_file():
            return store_uri(outputs, recorded)
    file = sqlite_file(uri)
    if file is not None and not file.is_file() and (recorded is None or tracking is not None):
        raise ConfigError(
            f"tracking: run {record.run_id[:8]} was tracked in its folder only (tracking=csv), and there is no store "
            f"{uri} that could hold a champion. Name one: hft promote {record.run_id[:8]} tracking=local"
        )
    return uri


def _print(outcome: Promotion) -> None:
    from rich.table import Table
    from rich.text import Text

    from hft.consoles import Console

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    candidate = outcome.candidate
    if outcome.gate is None or outcome.look is None or outcome.verdict is None:
        said = f"Run {candidate.run_id[:8]} is the champion of {outcome.method} already. Nothing was measured."
        console.print(said, soft_wrap=True)
        return
    gate, look, verdict, held = outcome.gate, outcome.look, outcome.verdict, outcome.rivals[0].held
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "run", outcome.metric, "candidate's gain", "at least", "at most"):
        table.add_column(heading, overflow="fold")
    table.add_row("candidate", _named(candidate), f"{held.candidate:.4f}", "", "", "")
    for rival in outcome.rivals:
        table.add_row(*_cells(rival))
    console.print(table)
    lines = (
        f"{held.queries:,} queries of the {outcome.split} split, {held.changed:,} of them changed. Look {look.number} "
        f"of {outcome.method}, at set {look.sets} of test queries, candidate {gate.candidate} there.",
        f"Each bound holds with a chance of {1 - gate.level:.3%}, whatever the distribution of the gains; so with few "
        "queries it is wide, even where none of them changed.",
        f"Within any {gate.window} sets in a row (promotion.window) the chance of a mistaken promotion is at most "
        f"{gate.alpha:g} (promotion.alpha); the candidates at one set share its part.",
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    style = "green" if verdict.promoted else "yellow" if verdict.answer == "cannot tell" else "red"
    answer, follows = (verdict.answer.capitalize(), style), _what_follows(outcome)
    console.print(Text.assemble(answer, f": {verdict.reason}. {follows}"), soft_wrap=True)


def _cells(rival: Rival) -> tuple[str, ...]:
    held, run = rival.held, rival.run
    numbers = (f"{held.gain:+.4f}", f"{held.lower:+.4f}", f"{held.upper:+.4f}")
    return (rival.role, "" if run is None else _named(run), f"{held.rival:.4f}", *numbers)


def _named(record: RunRecord) -> str:
    return escaped_line(f"{record.run_id[:8]} {record.name or ''}".strip())


def _what_follows(outcome: Promotion) -> str:
    champion = outcome.champion
    if champion is None:
        return f"{outcome.method} has no champion yet."
    if outcome.verdict is not None and outcome.verdict.promoted:
        back = " (back: hft rollback)" if champion.predecessor is not None else ""
        return f"It is the champion of {outcome.method} now, version {champion.version}{back}."
    return f"The champion stays: run {champion.run_id[:8]}, version {champion.version}."


def _as_dict(outcome: Promotion) -> dict[str, Any]:
    gate, look, verdict, champion = outcome.gate, outcome.look, outcome.verdict, outcome.champion
    return {
        "method": outcome.method,
        "metric": outcome.metric,
        "split": outcome.split,
        "candidate": {"run_id": outcome.candidate.run_id, "folder": str(outcome.candidate.folder)},
        "rivals": [
            {
                "role": rival.role,
                "run_id": None if rival.run is None else rival.run.run_id,
                "folder": None if rival.run is None else str(rival.run.folder),
                **rival.held.to_dict(),
            }
            for rival in outcome.rivals
        ],
        "rule": None if gate is None else gate.rule,
        "margin": None if gate is None else gate.margin,
        "look": None if look is None else look.number,
        "set": None if look is None else look.sets,
        "candidate_at_set": None if gate is None else gate.candidate,
        "alpha": None if gate is None else gate.alpha,
        "window": None if gate is None else gate.window,
        "level": None if gate is None else gate.level,
        "answer": "champion already" if verdict is None else verdict.answer,
        "promoted": verdict is not None and verdict.promoted,
        "reason": None if verdict is None else verdict.reason,
        "queries_needed": None if verdict is None else verdict.queries_needed,
        "champion": None if champion is None else {"run_id": champion.run_id, "version": champion.version},
    }
