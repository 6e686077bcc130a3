"""A sweep's folder given as a run means its winner."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

from hft.checksums import read_sealed_json
from hft.errors import HftError, RunNotFoundError
from hft.experiments.run_folder import RECORD_NAME
from hft.experiments.run_record import RunRecord, load_record
from hft.parsing import check_size
from hft.places import absolute_place, relative_place

_HEADER_NAME = "sweep.json"
_SUMMARY_NAME = "summary.json"


def winner_of_sweep(folder: Path) -> RunRecord | None:
    """The run that won a sweep: the complete run of a winner that was trained once more, else the trial.

    Says on stderr, once, which one it is.

    Args:
        folder: of the sweep.

    Returns:
        its record; None where the folder is no sweep's.

    Raises:
        RunNotFoundError: the sweep has no winner yet.
        DataError: the winner's record cannot be read.
    """
    if not (folder / _HEADER_NAME).is_file():
        return None
    best = _best(folder)
    number = best.get("number")
    if not isinstance(number, int):
        number = None  # as in a summary that somebody wrote
    told = absolute_place(str(best.get("folder") or number), folder)
    places = [folder / f"winner_{number}", folder / str(number), told]
    for place in places if number is not None else ():
        if (place / RECORD_NAME).is_file() and (record := _done(place)) is not None:
            _say(f"{folder} is a sweep: its winner is taken, trial {number} ({place}).")
            return record
    raise RunNotFoundError(
        f"{folder}: is the folder of a sweep that has no winner yet: it has not ended, or no trial of it is done. "
        "Give the folder or the id of one of its trials (`hft runs --trials` lists them), or let the sweep end."
    )


def _best(folder: Path) -> dict[str, Any]:
    try:
        check_size(folder / _SUMMARY_NAME)
        summary = read_sealed_json(folder / _SUMMARY_NAME)
        best = dict(summary["best"])
        if "folder" in summary:  # an older hft wrote whole paths, which lead to where the sweep was then
            best["folder"] = relative_place(best["folder"], summary["folder"])
    except (OSError, KeyError, TypeError):
        return {}
    return best


def _done(place: Path) -> RunRecord | None:
    try:
        record = load_record(place)
    except HftError:
        if place.name.startswith("winner_"):
            return None  # the trial says what it would have
        raise
    return record if record.status_now == "done" else None


@cache
def _say(line: str) -> None:
    print(line, file=sys.stderr)
