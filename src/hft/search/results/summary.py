"""What came of a sweep, for the terminal and for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.places import relative_place
from hft.search.hooks import SweepState
from hft.search.results.differing_parameters import DifferingParameters
from hft.search.results.progress import Progress
from hft.search.results.ranking import (
    has_value,
    is_several,
    ranked,
    short_names,
    stage_of_results,
    trial_folder,
    wanted,
)
from hft.search.results.values_as_text import (
    counted,
    duration_text,
    metric_text,
    one_line,
    params_text,
    typed_params,
    value_text,
)
from hft.search.trial import Trial

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from hft.consoles import Console

_TOP = 5
_MOST_OF_FRONT = 12
_MOST_REASONS = 5
_REASON_WIDTH = 160
# Characters a line where nobody watches.
_WIDTH_OF_A_FILE = 110
_ENDS = {
    None: "still running",
    "budget": "the budget is used up",
    "timeout": "the time is up",
    "exhausted": "nothing is left to try",
    "failures": "given up: too many trials failed",
    "stopped": "stopped; the same command goes on",
}


@dataclass(frozen=True)
class FailureKind:
    """Failed trials whose reasons differ in numbers alone.

    Args:
        reason: of the first, in words.
        count: how many.
        number: of the first.
        folder: of the first; None where it had none.
    """

    reason: str
    count: int
    number: int
    folder: Path | None


def print_summary(
    state: SweepState,
    console: Console | None = None,
    *,
    winner_command: str | None = None,
    winner_label: str = "Train the winner",
    lead: str | None = None,
    resume_command: str | None = None,
) -> None:
    """Prints why the sweep ended, its best trials, what failed, where all of it is, and what to do next.

    Args:
        state: of the sweep.
        console: where to; None: standard output.
        winner_command: runs the winner; said if there is one.
        winner_label: what the command does.
        lead: how far the best trial is ahead of the next one, and how sure that is.
        resume_command: goes on with the sweep, or extends it.
    """
    from rich.console import Group

    from hft.consoles import Console

    if console is None:
        console = Console()
        if not console.is_terminal:  # a file has no edge to wrap at
            console.width = _WIDTH_OF_A_FILE
    # Not cropped: a path or a command is copied whole, however narrow the place.
    console.print(Group(*_parts(state, winner_command, winner_label, lead, resume_command)), crop=False)


def summary_dict(state: SweepState) -> dict[str, Any]:
    """The same for programs, JSON-able: ended, counts, best, top (best first), front, failures, seconds.

    Folders of trials are relative to the sweep's.
    """
    progress = Progress.of(state)
    return {
        "ended": state.ended,
        "is_search": state.is_search,
        "seconds": round(state.elapsed, 3),
        "metric": list(state.settings.metric),
        "direction": list(state.settings.direction),
        "trials": len(state.trials),
        "done": progress.done,
        "pruned": progress.pruned,
        "failed": progress.failed,
        "running": progress.running,
        "known": progress.known,
        "stage": stage_of_results(state),
        "best": None if state.best is None else _trial_dict(state, state.best),
        "top": [_trial_dict(state, trial) for trial in ranked(state)[:_TOP]],
        "front": [_trial_dict(state, trial) for trial in state.front] if is_several(state.settings) else [],
        "failures": [
            {"reason": kind.reason, "count": kind.count, "trial": kind.number, "folder": _place(state, kind.folder)}
            for kind in failure_kinds(state)
        ],
        "notes": list(state.notes),
    }


def failure_kinds(state: SweepState) -> list[FailureKind]:
    """Failed trials by reason, the most frequent first; reasons that differ in numbers alone are one."""
    groups: dict[str, list[Trial]] = {}
    for trial in state.trials:
        if trial.state == "failed":
            groups.setdefault(re.sub(r"\d+", "0", trial.reason or "no reason is known"), []).append(trial)
    kinds = [
        FailureKind(of[0].reason or "no reason is known", len(of), of[0].number, trial_folder(state, of[0]))
        for of in groups.values()
    ]  # fmt: skip
    return sorted(kinds, key=lambda kind: -kind.count)


def _trial_dict(state: SweepState, trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "stage": trial.stage,
        "params": typed_params(trial.params),
        "values": list(trial.values),
        "known_from": trial.known_from,
        "folder": _place(state, trial_folder(state, trial)),
        "seconds": round(trial.seconds, 3),
    }


def _place(state: SweepState, folder: Path | None) -> str | None:
    return None if folder is None else relative_place(folder, state.folder)


def _parts(
    state: SweepState, winner_command: str | None, winner_label: str, lead: str | None, resume_command: str | None
) -> Iterator[RenderableType]:
    from rich.text import Text

    progress = Progress.of(state)
    counts = progress.in_words().replace("none yet", "none")
    yield _heading("Search" if state.is_search else "Enumeration", _ENDS.get(state.ended, str(state.ended)))
    yield Text(f"{counted(len(state.trials), 'trial')}: {counts}; {duration_text(state.elapsed)}")
    for note in state.notes:
        yield Text(note, style="yellow")
    yield from _best(state)
    if lead is not None:
        yield Text(lead)
    yield from _failures(state)
    yield from _to_copy("Where", str(state.folder))
    if winner_command is not None and state.best is not None:
        yield from _to_copy(winner_label, winner_command)
    if resume_command is not None:
        yield from _to_copy("Go on" if state.ended in (None, "stopped") else "Extend", resume_command)


def _best(state: SweepState) -> Iterator[RenderableType]:
    from rich.text import Text

    best = state.best
    if best is None:
        done = any(trial.state == "done" for trial in state.trials)
        yield Text(
            "No job returned a value." if done else "No trial is done: there is no best.", style="" if done else "red"
        )
        return
    of_stage = f", stage {best.stage}" if len(state.settings.stages) > 1 else ""
    source = f", known from {best.known_from}" if best.known_from is not None else ""
    several = is_several(state.settings)
    name = f"First of the front of {len(state.front)}" if several else "Best"
    yield _heading(f"{name}: trial {best.number}", f"{of_stage}{source}".removeprefix(", "))
    table = _table()
    table.add_column("", overflow="fold")
    table.add_column("", overflow="fold")
    for metric, direction, value in zip(state.settings.metric, state.settings.direction, best.values, strict=False):
        table.add_row(
            Text(metric), Text.assemble((metric_text(value), "bold green"), (f"  {wanted(direction)}", "dim"))
        )
    for key, value in best.params.items():
        table.add_row(Text(key), Text(value_text(value)))
    table.show_header = False
    yield table
    rows = list(state.front[:_MOST_OF_FRONT]) if several else ranked(state)[:_TOP]
    if several or len(rows) > 1:
        what = "no other trial is better in every metric" if several else f"of {sum(map(has_value, state.trials))} done"
        yield _heading(f"The {'front' if several else f'best {len(rows)}'}", what)
        yield _ranking(state, rows)
    if several and len(state.front) > len(rows):
        yield Text(f"and {len(state.front) - len(rows)} more in trials.csv", style="dim")


def _ranking(state: SweepState, rows: list[Trial]) -> Table:
    from rich.text import Text

    table = _table()
    table.add_column("trial", justify="right", no_wrap=True)
    for metric in state.settings.metric:
        table.add_column(Text(metric), justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("parameters", overflow="fold")
    # Those of the best stand above in full.
    differing = DifferingParameters().of(state)
    names = short_names(list(dict.fromkeys(key for trial in state.trials for key in trial.params)))
    for trial in rows:
        params = {key: trial.params[key] for key in differing if key in trial.params}
        time = duration_text(trial.seconds) if trial.known_from is None else "known"
        values = [Text(metric_text(value)) for value in trial.values]
        table.add_row(Text(str(trial.number)), *values, Text(time), Text(params_text(params, names)))
    return table


def _failures(state: SweepState) -> Iterator[RenderableType]:
    from rich.text import Text

    kinds = failure_kinds(state)
    if not kinds:
        return
    yield _heading("Failed", counted(sum(kind.count for kind in kinds), "trial"))
    for kind in kinds[:_MOST_REASONS]:
        where = f"  (first: trial {kind.number}" + ("" if kind.folder is None else f", {kind.folder}") + ")"
        yield Text.assemble((f"{kind.count} x ", "bold red"), one_line(kind.reason, _REASON_WIDTH), (where, "dim"))
    if len(kinds) > _MOST_REASONS:
        yield Text(f"and {counted(len(kinds) - _MOST_REASONS, 'other reason')} in trials.csv", style="dim")


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)


def _heading(title: str, text: str) -> RenderableType:
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text.assemble((title, "bold"), (f"  {text}" if text else "", "dim")), (1, 0, 0, 0))


def _to_copy(label: str, text: str) -> Iterator[RenderableType]:
    """A heading, and on a line of its own what somebody copies, never broken."""
    from rich.text import Text

    yield Text()
    yield Text(label, style="bold")
    yield Text(text, no_wrap=True, overflow="ignore")
