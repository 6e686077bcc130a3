"""Run folders as a training leaves them, written by hand: no torch, and many a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hft.checksums import write_checksums
from hft.experiments import RunRecord

METRIC = "ndcg@10"


def recorded(
    folder: str,
    *,
    value: float | None = 0.5,
    start: float | None = 0.3,
    method: str = "line",
    iteration: str = "initial",
    batch: str | None = None,
    parent: str | None = None,
    started: str = "2026-01-01T00:00:00.000000Z",
    status: str = "done",
    on_test: bool = True,
    model: bool = True,
    weights: str | None = None,
    data: str = "data-1",
    direction: str = "maximize",
    params: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    choices: Mapping[str, Any] | None = None,
    sweep: str | None = None,
    trial: int | None = None,
    per_query: Mapping[str, Sequence[float]] | None = None,
    hashes: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
) -> RunRecord:
    """Writes a run folder under `outputs`."""
    config = {
        "seed": 0,
        "threads": None,
        "run_name": None,
        "outputs": "outputs",
        "params": {"items_lr": 0.1, "margin": 0.02, **(params or {})},
        "settings": {"num_epochs": 1, "batch_size": 4},
        "loss": {"temperature": 0.05},
        "method": {
            "meta": {"name": method, "version": "1", "description": "a line"},
            "main_metric": METRIC,
            "direction": direction,
        },
        "data": {"batch_id": batch},
        "trainer": {"enable_progress_bar": True},
        "tracking": {"kind": "csv", "uri": None},
        "iteration": {"name": iteration, "start_from": parent},
        **(changes or {}),
    }
    metrics: dict[str, float] = {}
    if value is not None:
        metrics[f"validation_{METRIC}"] = value
        if start is not None:
            metrics[f"validation_{METRIC}_start"] = start
        if on_test:
            metrics |= {f"test_{METRIC}": value, f"test_{METRIC}_start": 0.3, f"test_{METRIC}_p": 0.01}
    record = RunRecord(
        started=started,
        config=config,
        choices=dict(choices or {"loss": "infonce"}),
        hashes={"data": data, "base_model": "base-1"},
        parent=parent,
        sweep=sweep,
        trial=trial,
    )
    record.status = status  # type: ignore[assignment]
    record.results.metrics = metrics
    record.results.weights = weights or f"weights of {folder}"
    record.folder = Path("outputs") / folder
    record.save()
    if model:
        (record.folder / "model").mkdir()
        weights = record.folder / "model" / "model.safetensors"
        for size in (0, 700):  # of all files in the end
            beside = sum(file.stat().st_size for file in weights.parent.iterdir())
            weights.write_bytes(b"w" * max(0, size - beside))
            write_checksums(weights.parent)
    if per_query is not None:
        arrays = {f"test/{METRIC}/{name}": np.asarray(values) for name, values in per_query.items()}
        np.savez(record.folder / "per_query.npz", **arrays, **{"test/query_hash": np.asarray(hashes)})
    return record


def at(day: int) -> str:
    """A moment of that day."""
    return f"2026-01-{day:02d}T00:00:00.000000Z"
