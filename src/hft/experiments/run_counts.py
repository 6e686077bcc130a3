"""How many runs and trials an iteration has. What only repeats another run does not count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hft.experiments.run_record import RunRecord
from hft.parsing import parse_json

JOURNAL_NAME = "trials.jsonl"

_SET_ASIDE = re.compile(r"\.interrupted-\d+$")

# A trial's folder lies in its sweep's.
_DEEPEST = 2


@dataclass(frozen=True)
class RunCounts:
    """What an iteration has run.

    Args:
        runs: all, trials among them.
        trials: of sweeps; those that failed before they had a record as well.
        failed: runs and trials that failed.
    """

    runs: int
    trials: int
    failed: int


def run_counts(groups: Sequence[Iterable[RunRecord]]) -> list[RunCounts]:
    """Counts runs, group by group. Reproductions and attempts that a resumed sweep has set aside do not count.

    A sweep's journal says which of its trials failed, whether they came to a record or not; one without a record counts
    in the group of its sweep's last run.

    Args:
        groups: runs, each in one group.
    """
    counted = [[record for record in group if _counts(record)] for group in groups]
    with_record = {_key(record) for group in counted for record in group}
    last: dict[Path, tuple[str, int, str]] = {}
    for place, group in enumerate(counted):
        for record in group:
            folder = _sweep_folder(record)
            if folder is not None and record.sweep is not None:
                last[folder] = max(last.get(folder, ("", 0, "")), (record.started, place, record.sweep))
    failed: list[set[tuple[str, int | None]]] = [set() for _ in counted]
    by_journal = {}
    for folder, (_, place, sweep) in last.items():
        found = {(sweep, number) for number in _failed_trials(folder)}
        by_journal.update(dict.fromkeys(found))
        failed[place] |= {key for key in found if key not in with_record}
    return [_of(group, alone, by_journal) for group, alone in zip(counted, failed, strict=True)]


def _of(
    group: list[RunRecord], without_record: set[tuple[str, int | None]], by_journal: Iterable[tuple[str, int | None]]
) -> RunCounts:
    known = set(by_journal)
    keys = {_key(record) for record in group}
    failed = {_key(record) for record in group if record.status_now == "failed"} | (keys & known) | without_record
    trials = {_key(record) for record in group if record.trial is not None} | without_record
    return RunCounts(runs=len(keys | without_record), trials=len(trials), failed=len(failed))


def _key(record: RunRecord) -> tuple[str, int | None]:
    """A trial by its sweep and number, another run by its id."""
    is_trial = record.sweep is not None and record.trial is not None
    return (record.sweep or "", record.trial) if is_trial else (record.run_id, None)


def _counts(record: RunRecord) -> bool:
    own = [record.folder.name, *(folder.name for folder in record.folder.parents[:_DEEPEST])]
    return record.reproduces is None and not any(_SET_ASIDE.search(name) for name in own)


def _sweep_folder(record: RunRecord) -> Path | None:
    if record.sweep is None or record.trial is None:
        return None
    return next((path for path in record.folder.parents[:_DEEPEST] if (path / JOURNAL_NAME).is_file()), None)


def _failed_trials(sweep: Path) -> set[int]:
    """Numbers of the trials whose last event in the journal is a failure."""
    states: dict[int, bool] = {}
    for event in _events(sweep / JOURNAL_NAME):
        number = event.get("number")
        if event.get("event") in ("ask", "tell") and isinstance(number, int):
            states[number] = event["event"] == "tell" and event.get("state") == "failed"
    return {number for number, is_failed in states.items() if is_failed}


def _events(file: Path) -> Iterator[dict[str, object]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        try:
            event = parse_json(line)
        except ValueError:
            continue  # a line that was cut off
        if isinstance(event, dict):
            yield event
