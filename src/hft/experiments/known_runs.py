"""Answers a trial from a run of the same iteration that was trained with equal settings already."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hft.errors import HftError
from hft.experiments.plain import plain
from hft.experiments.run_folder import record_files
from hft.experiments.run_record import RunRecord, load_record

# Keys that change nothing about what a training gives. `threads` changes sums by rounding alone, and workers that run
# side by side get fewer of them. Of the iteration the runs share the name, and the base model is compared itself.
_WITHOUT_EFFECT = (
    "run_name",
    "outputs",
    "threads",
    "stores",
    "compute",
    "tracking",
    "search",
    "iteration",
    "promotion",
    "hydra",
)
_WITHOUT_EFFECT_INSIDE = (
    ("method", "meta", "description"),
    ("metrics", "bm25_language"),
    ("trainer", "enable_progress_bar"),
)

# Of `search`: a value that is a mean over these is none of a single training.
_MEANS = ("folds", "seeds")

Hash = Callable[[], str | None]


@dataclass(frozen=True)
class KnownRun:
    """A run that has the result already.

    Args:
        run_id: its id.
        folder: of the run.
        values: one a metric asked for, on validation.
        has_model: whether its weights are still there.
    """

    run_id: str
    folder: Path
    values: tuple[float, ...]
    has_model: bool


@dataclass(frozen=True)
class _Entry:
    run_id: str
    started: str
    folder: Path
    identity: str
    parent: str | None
    hashes: Mapping[str, str]
    metrics: Mapping[str, float]


class KnownRuns:
    """Runs of one iteration that are done, by their settings. Records are read once, and again where they changed.

    Args:
        outputs: where runs land.
        method: name of the method.
        iteration: name of the iteration.
    """

    def __init__(self, outputs: str | os.PathLike[str], method: str, iteration: str) -> None:
        self._outputs, self._method, self._iteration = Path(outputs), method, iteration
        self._read: dict[Path, tuple[tuple[int, int], _Entry | None]] = {}
        self._by_identity: dict[str, list[_Entry]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads records that are new or have changed since the last time."""
        files = record_files(self._outputs)
        read = {}
        for file in files:
            try:
                status = file.stat()
            except OSError:
                continue
            mark = (status.st_mtime_ns, status.st_size)
            before = self._read.get(file)
            read[file] = before if before is not None and before[0] == mark else (mark, self._entry(file))
        self._read = read
        self._by_identity = {}
        entries = [entry for _, entry in read.values() if entry is not None]
        for entry in sorted(entries, key=lambda entry: (entry.started, entry.run_id)):
            self._by_identity.setdefault(entry.identity, []).append(entry)

    def find(
        self,
        config: Mapping[str, Any],
        *,
        metrics: Sequence[str] = (),
        parent: str | None = None,
        data_hash: Hash | None = None,
        base_model_hash: Hash | None = None,
    ) -> KnownRun | None:
        """The first run that was done with settings that are equal in all that changes the result.

        Not compared are: run_name, outputs, threads, tracking, search (but for its folds and seeds), iteration,
        promotion, hydra, the description of the method, the language of BM25, and the progress bar.

        Args:
            config: resolved, of the trial.
            metrics: whose validation values are wanted (`ndcg@10`); none: the main metric.
            parent: id of the run whose model the trial starts from; None: the model of the config.
            data_hash: gives the fingerprint of the trial's data; asked only where the settings are equal. None, or an
                answer of None: it is not known yet, and no run is taken for equal.
            base_model_hash: likewise of the weights before step 1; None: the parent and the settings decide.

        Returns:
            None: there is no such run, or it has no finite value of each metric.
        """
        candidates = [one for one in self._by_identity.get(_identity(config), ()) if one.parent == parent]
        if not candidates:
            return None
        data = None if data_hash is None else data_hash()
        base = None if base_model_hash is None else base_model_hash()
        if data is None:
            return None
        wanted = tuple(metrics) or (str((config.get("method") or {}).get("main_metric")),)
        for one in candidates:
            same = one.hashes.get("data") == data and base in (None, one.hashes.get("base_model"))
            values = [one.metrics.get(f"validation_{name.removeprefix('validation_')}") for name in wanted]
            finite = tuple(value for value in values if value is not None and math.isfinite(value))
            if same and len(finite) == len(wanted):
                return KnownRun(one.run_id, one.folder, finite, (one.folder / "model").is_dir())
        return None

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._by_identity.values())

    def _entry(self, file: Path) -> _Entry | None:
        try:
            record = load_record(file)
        except HftError:
            return None
        is_one = (record.method, record.iteration) == (self._method, self._iteration)
        if not is_one or record.status != "done":
            return None
        means = record.trial is not None
        return _Entry(
            record.run_id,
            record.started,
            record.folder,
            _identity(_measured(record) if not means else record.config),
            record.parent,
            record.hashes,
            record.results.metrics,
        )


def _measured(record: RunRecord) -> Mapping[str, Any]:
    """The config of a run that is no trial: one training, whatever its config says of folds and seeds."""
    return {key: value for key, value in record.config.items() if key != "search"}


def _identity(config: Mapping[str, Any]) -> str:
    kept = plain({key: config[key] for key in config if key not in _WITHOUT_EFFECT})
    for *parents, name in _WITHOUT_EFFECT_INSIDE:
        node = kept
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(name, None)
    search = config.get("search") or {}
    means = {name: plain(search.get(name)) for name in _MEANS if search.get(name)}
    text = json.dumps([kept, means], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
