"""Two runs side by side: settings that differ, metrics, and values a query where both runs kept them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from hft.errors import DamagedError
from hft.experiments.plain import Difference, differences
from hft.experiments.run_folder import PER_QUERY_NAME
from hft.experiments.run_record import RunRecord

Values = npt.NDArray[np.float64]
_QUERIES = "query_hash"

Split = Literal["test", "validation"]


@dataclass(frozen=True)
class SideBySide:
    """What sets two runs apart.

    Args:
        settings: resolved config keys under which they differ.
        surroundings: versions, hardware, environment and hashes that differ.
        metrics: by name: value of the first run, of the second; None where a run lacks it.
    """

    settings: list[Difference]
    surroundings: list[Difference]
    metrics: dict[str, tuple[float | None, float | None]]


def side_by_side(first: RunRecord, second: RunRecord) -> SideBySide:
    """Compares two records."""
    names = list(dict.fromkeys([*first.results.metrics, *second.results.metrics]))
    return SideBySide(
        settings=differences(first.config, second.config),
        surroundings=differences(_surroundings(first), _surroundings(second)),
        metrics={name: (first.results.metrics.get(name), second.results.metrics.get(name)) for name in names},
    )


def paired_values(
    first: RunRecord, second: RunRecord, models: tuple[str, str] = ("tuned", "tuned"), split: Split = "test"
) -> dict[str, tuple[Values, Values]]:
    """Values a query of two models, over the queries that both runs have, in the same order.

    Args:
        first, second: the runs.
        models: of each run, `tuned`, `start` (the model that it started from) or `initial` (the first iteration's
            start, where the run measured it too).
        split: whose queries.

    Returns:
        by metric (`ndcg@10`): two float64[queries] arrays, NaN where a query has no value. Empty where a run kept
        none, or where they share no query.

    Raises:
        DamagedError: a file of values cannot be read.
    """
    left, right = values_a_query(first.folder, split), values_a_query(second.folder, split)
    if _QUERIES not in left or _QUERIES not in right:
        return {}
    ours, theirs = _shared_rows(left[_QUERIES], right[_QUERIES])
    if len(ours) == 0:
        return {}
    suffix, other = (f"/{model}" for model in models)
    names = [key.removesuffix(suffix) for key in left if key.endswith(suffix)]
    return {
        name: (
            np.asarray(left[f"{name}{suffix}"], dtype=np.float64)[ours],
            np.asarray(right[f"{name}{other}"], dtype=np.float64)[theirs],
        )
        for name in names
        if f"{name}{other}" in right
    }


def number_of_values(record: RunRecord) -> int:
    """On how many test queries the run's tuned model has a value of its main metric.

    Raises:
        DamagedError: the file of values cannot be read.
    """
    values = values_a_query(record.folder).get(f"{record.main_metric}/tuned")
    return 0 if values is None else int(np.count_nonzero(~np.isnan(np.asarray(values, dtype=np.float64))))


def _shared_rows(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if np.array_equal(left, right):
        rows = np.arange(len(left))
        return rows, rows
    _, ours, theirs = np.intersect1d(left, right, return_indices=True)
    return ours, theirs


def values_a_query(folder: Path, split: Split = "test") -> dict[str, npt.NDArray[Any]]:
    """What a run kept of a split: `query_hash`, and a value a query by `METRIC/MODEL`; empty if it kept none.

    Args:
        folder: of the run.
        split: whose queries.

    Raises:
        DamagedError: the file of values cannot be read.
    """
    path = folder / PER_QUERY_NAME
    if not path.is_file():
        return {}
    prefix = f"{split}/"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}
    # NumPy reads through zipfile, which compares each array with its CRC-32, and may find any header damaged.
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, struct.error, zlib.error, BadZipFile) as error:
        raise DamagedError(
            f"{path}: is damaged: {error}. Restore it from a copy or from the tracking store; without it the runs are "
            "compared by their mean values alone."
        ) from error


def _surroundings(record: RunRecord) -> dict[str, Any]:
    return {
        "hashes": record.hashes,
        "versions": record.versions,
        "hardware": record.hardware,
        "environment": record.environment.model_dump(),
    }
