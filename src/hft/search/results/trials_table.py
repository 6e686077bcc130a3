"""trials.csv: a line a trial, a column a parameter. Cells read back as the values that they were."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hft.csv_cells import is_formula, neutral, original
from hft.files import atomic_write
from hft.search.hooks import SweepState
from hft.search.results.ranking import trial_folder
from hft.search.results.values_as_text import typed_params
from hft.search.trial import Trial
from hft.terminal import escaped

TRIALS_FILE = "trials.csv"

_FIRST = ("number", "state", "stage")
_TEXTS = {"state", "started", "source", "known_from", "reason", "folder"}
_LAST = ("seconds", "started", "source", "known_from", "reason", "folder")


class TrialsTable:
    """Writes the table again and again. Rows of trials that have ended are kept: they do not change."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._rows: dict[int, tuple[Trial, list[str]]] = {}

    def write(self, state: SweepState, path: Path) -> None:
        """Writes all trials: number, state, stage, each metric, each parameter, and how the trial went.

        Empty cells are what is absent: a parameter whose condition did not hold, the value of a trial that failed. A
        pruned trial shows the last value that it reported. Lists, null and strings that look like another value are
        JSON.

        Raises:
            StorageError: the system refused a write.
        """
        metrics, keys = list(state.settings.metric), _keys(state)
        if keys != self._keys:
            self._keys, self._rows = keys, {}
        taken = {*_FIRST, *_LAST}
        columns = [
            *_FIRST,
            *_distinct(metrics, taken, "metric"),
            *_distinct(keys, taken | set(metrics), "parameter"),
            *_LAST,
        ]
        # The journal has it all.
        with atomic_write(path, durable=False) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(map(neutral, columns))
            writer.writerows(self._row(state, trial) for trial in state.trials)

    def _row(self, state: SweepState, trial: Trial) -> list[str]:
        known = self._rows.get(trial.number)
        if known is None or known[0] is not trial:
            known = trial, _row(state, trial, len(state.settings.metric), self._keys)
            self._rows[trial.number] = known
        return known[1]


def read_trials_table(path: Path) -> list[dict[str, Any]]:
    """The trials of a `trials.csv`, a dictionary each, without what is absent."""
    with open(path, encoding="utf-8", newline="") as file:
        return [_read(row) for row in csv.DictReader(file)]


def _read(row: Mapping[str, str]) -> dict[str, Any]:
    present = {column: cell for column, cell in row.items() if cell}
    return {original(column): original(cell) if column in _TEXTS else _value(cell) for column, cell in present.items()}


def _keys(state: SweepState) -> list[str]:
    """The space's keys in its order, then others that trials have."""
    keys = dict.fromkeys(parameter.key for parameter in state.space.parameters)
    keys.update(dict.fromkeys(key for trial in state.trials for key in trial.params))
    return list(keys)


def _distinct(names: Sequence[str], taken: set[str], what: str) -> list[str]:
    return [f"{name} ({what})" if name in taken else name for name in names]


def _row(state: SweepState, trial: Trial, n_metrics: int, keys: Sequence[str]) -> list[str]:
    values = [trial.values[position] if len(trial.values) > position else None for position in range(n_metrics)]
    folder, params = trial_folder(state, trial), typed_params(trial.params)
    last = (
        round(trial.seconds, 3), trial.started, trial.source, trial.known_from, trial.reason,
        None if folder is None else Path(os.path.relpath(folder, state.folder)).as_posix(),
    )  # fmt: skip
    return [
        str(trial.number),
        trial.state,
        str(trial.stage),
        *("" if value is None else _cell(value) for value in values),
        *(_cell(params[key]) if key in params else "" for key in keys),
        *("" if value is None else neutral(escaped(str(value))) for value in last),
    ]


def _cell(value: Any) -> str:
    """A string as it stands, as long as it reads back as itself; everything else, and other strings, as JSON."""
    if isinstance(value, str):
        plain = str(value)
        stands = plain and _value(plain) == plain and escaped(plain) == plain and not is_formula(plain)
        return plain if stands else json.dumps(plain)
    return json.dumps(value, ensure_ascii=False, default=str)


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell
