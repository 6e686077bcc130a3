"""metrics.csv (`tracking=csv`): the rows of steps.jsonl as a table for a spreadsheet."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from typing import Any

from hft.csv_cells import neutral
from hft.files import atomic_write


def write_metrics_csv(rows: Iterable[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Writes one line a row; columns in the order in which their names first appear, empty where a row lacks them.

    Raises:
        StorageError: the file cannot be written.
    """
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(neutral, columns))
        writer.writerows([_cell(row.get(name, "")) for name in columns] for row in rows)


def _cell(value: Any) -> Any:
    return neutral(value) if isinstance(value, str) else value
