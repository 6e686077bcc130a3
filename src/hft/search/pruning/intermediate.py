"""Values that trials report on their way: a line a report in `SWEEP/N/intermediate.jsonl`, read by their siblings."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hft.checksums import sealed_row, unsealed_row
from hft.files import storage_errors
from hft.parsing import parse_json
from hft.search.loop.journal import JOURNAL_NAME, Ask, decode, unreadable
from hft.search.pruning.pruners import Reports
from hft.search.trial import State

T = TypeVar("T")

INTERMEDIATE_NAME = "intermediate.jsonl"


def intermediate_path(sweep_folder: Path, number: int) -> Path:
    """Where a trial's reports stand, whatever Hydra calls the job's own folder."""
    return sweep_folder / str(number) / INTERMEDIATE_NAME


def append_report(sweep_folder: Path, number: int, step: int, value: float) -> None:
    """Adds a report; a value that is NaN or infinite is recorded as null.

    Raises:
        StorageError: it cannot be written.
    """
    path = intermediate_path(sweep_folder, number)
    line = sealed_row(json.dumps({"step": step, "value": value if math.isfinite(value) else None})) + "\n"
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8", newline="\n") as file:
            file.write(line)


def last_report(sweep_folder: Path, number: int) -> tuple[int, float] | None:
    """The step and value of a trial's last report that has a value; None: there is none."""
    file = GrowingFile(intermediate_path(sweep_folder, number))
    reports = [(step, value) for step, value in file.new_rows(_report) if value is not None]
    return reports[-1] if reports else None


@dataclass
class GrowingFile:
    """A file of lines that others append to, read from where the last reading stopped.

    Args:
        path: of the file, which may not be there yet.
    """

    path: Path
    was_replaced: bool = field(default=False, init=False)
    _read: int = field(default=0, init=False)
    _lines: int = field(default=0, init=False)
    _inode: int | None = field(default=None, init=False)

    def new_rows(self, parse: Callable[[bytes], T]) -> list[T]:
        """What `parse` makes of whole lines since the last call. `was_replaced`: of another file under the same name.

        Raises:
            ConfigError: `parse` refuses a line with a ValueError.
        """
        rows = []
        for line in self._new_lines():
            self._lines += 1
            try:
                rows.append(parse(line))
            except (ValueError, KeyError, TypeError) as error:
                raise unreadable(self.path, self._lines, ValueError(error)) from error
        return rows

    def _new_lines(self) -> list[bytes]:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            self.was_replaced = self._read > 0
            self._read, self._lines, self._inode = 0, 0, None
            return []
        self.was_replaced = self._inode is not None and (status.st_ino != self._inode or status.st_size < self._read)
        if self.was_replaced:
            self._read, self._lines = 0, 0
        self._inode = status.st_ino
        if status.st_size == self._read:
            return []
        with open(self.path, "rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.split(b"\n")[:-1]


@dataclass
class _ReportsOfTrial:
    file: GrowingFile
    values: dict[int, float] = field(default_factory=dict)
    count: int = 0
    is_closed: bool = False

    def update(self) -> None:
        reports = self.file.new_rows(_report)
        if self.file.was_replaced:
            self.values.clear()
            self.count = 0
        for step, value in reports:
            self.count += 1
            self.values.pop(step, None)  # a step that is reported twice is the last one
            if value is not None:
                self.values[step] = value


@dataclass
class SweepReports:
    """All reports of a sweep, read anew only as far as they have grown.

    Args:
        folder: of the sweep.
    """

    folder: Path
    _journal: GrowingFile = field(init=False)
    _states: dict[int, State] = field(default_factory=dict, init=False)
    _stages: dict[int, int] = field(default_factory=dict, init=False)
    _trials: dict[int, _ReportsOfTrial] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._journal = GrowingFile(self.folder / JOURNAL_NAME)

    def of(self, number: int) -> Reports:
        """Reports of one trial as they stand now, the trial taken as running."""
        trial = self._trial(number)
        trial.is_closed = False
        trial.update()
        return Reports(number, "running", dict(trial.values), trial.count)

    def siblings(self, number: int) -> list[Reports]:
        """Reports of the other trials of the same stage that made any, by number.

        Folders of interrupted trials are never read, and in a serial sweep there is no sibling of a higher number: so a
        trial that runs again sees what it saw at first.
        """
        self._read_journal()
        stage = self._stages.get(number, 0)
        found = []
        for other, state in sorted(self._states.items()):
            if other == number or self._stages[other] != stage:
                continue
            trial = self._trial(other)
            if not trial.is_closed:
                trial.update()
                trial.is_closed = state != "running"
            if trial.count:
                found.append(Reports(other, state, trial.values, trial.count))
        return found

    def _trial(self, number: int) -> _ReportsOfTrial:
        if number not in self._trials:
            self._trials[number] = _ReportsOfTrial(GrowingFile(intermediate_path(self.folder, number)))
        return self._trials[number]

    def _read_journal(self) -> None:
        events = self._journal.new_rows(decode)
        if self._journal.was_replaced:
            self._states.clear()
            self._stages.clear()
            self._trials.clear()
        for event in events:
            if isinstance(event, Ask):
                self._states[event.number], self._stages[event.number] = "running", event.stage
            else:
                self._states[event.number] = event.outcome.state


def _report(line: bytes) -> tuple[int, float | None]:
    found: dict[str, Any] = parse_json(unsealed_row(line))
    return int(found["step"]), found["value"]
