"""A trial: one parameter set of a sweep, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hft.places import relative_place
from hft.search.specs import Params

State = Literal["running", "done", "pruned", "failed"]
Source = Literal["engine", "enqueued"]


class TrialPruned(Exception):  # noqa: N818 - it is no error: the trial ends here because others do better
    """Raised inside of a trial that the pruner stops."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        state: done, pruned or failed.
        values: one a metric, finite; of a pruned trial the last intermediate value; of a failed one nothing.
        reason: why it failed or was pruned, in words.
        folder: where it ran; in a journal relative to the sweep's.
        seconds: wall time.
        details: what the job wants remembered, JSON-able (`run_id`, ...).
        error: the exception itself, where the trial ran in this process.
    """

    state: Literal["done", "pruned", "failed"]
    values: tuple[float, ...] = ()
    reason: str | None = None
    folder: str | None = None
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)
    error: BaseException | None = None

    def placed(self, sweep: Path) -> Outcome:
        """The outcome with its folder relative to the sweep's."""
        return self if self.folder is None else replace(self, folder=relative_place(self.folder, sweep))


@dataclass(frozen=True)
class Known:
    """A result that is on record already.

    Args:
        values: one a metric.
        source: where from, in words: `trial 3`, `run 12f1bffb`.
        folder: of the run; None where it is gone.
    """

    values: tuple[float, ...]
    source: str
    folder: str | None = None


@dataclass(frozen=True)
class Trial:
    """One parameter set of a sweep.

    Args:
        number: from 0, never used twice in a sweep.
        params: active parameters only.
        state: running, done, pruned or failed.
        stage: of the search, from 0.
        source: who proposed it: the engine, or the queue (replayed and warm-started parameters).
        values: one a metric; empty unless done (of a pruned trial the last intermediate value).
        known_from: where the values were on record; None: the trial was run.
        reason: why it failed or was pruned, in words.
        folder: where it ran.
        started: UTC, ISO 8601.
        seconds: wall time.
        details: what the job wanted remembered.
    """

    number: int
    params: Params
    state: State = "running"
    stage: int = 0
    source: Source = "engine"
    values: tuple[float, ...] = ()
    known_from: str | None = None
    reason: str | None = None
    folder: str | None = None
    started: str | None = None
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """The first metric's value of a trial that is done."""
        return self.values[0] if self.state == "done" else None
