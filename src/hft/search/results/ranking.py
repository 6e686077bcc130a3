"""Trials in order, and what their values are called. One place that knows which trials compare with which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hft.places import absolute_place
from hft.search.hooks import SweepState
from hft.search.settings import SearchSettings
from hft.search.trial import Trial


def value_of(trial: Trial, position: int = 0) -> float | None:
    """The value of a metric of a trial that is done; None of any other, and of a job that returned nothing."""
    done = trial.state == "done" and len(trial.values) > position
    return trial.values[position] if done else None


def has_value(trial: Trial) -> bool:
    """Whether the trial is done with a value."""
    return value_of(trial) is not None


def stage_of_results(state: SweepState) -> int:
    """The last stage with a value: its trials compare with each other, those of other stages do not."""
    return max((trial.stage for trial in state.trials if has_value(trial)), default=state.stage)


def ranked(state: SweepState) -> list[Trial]:
    """Trials with a value in the last stage that has one, best first; several metrics: the front first, then the
    rest by the first metric. Of equal ones the first."""
    stage = stage_of_results(state)
    return [trial for trial in ranked_in_all_stages(state) if trial.stage == stage]


def ranked_in_all_stages(state: SweepState) -> list[Trial]:
    """As `ranked`, followed by the stage before, and so on."""
    front = {trial.number for trial in state.front} if len(state.settings.metric) > 1 else set()
    sign = state.settings.signs[0]
    return sorted(
        (trial for trial in state.trials if has_value(trial)),
        key=lambda trial: (-trial.stage, trial.number not in front, sign * trial.values[0], trial.number),
    )


def trial_folder(state: SweepState, trial: Trial) -> Path | None:
    """Where the trial ran, or, answered from the record, where its result is."""
    return None if trial.folder is None else absolute_place(trial.folder, state.folder)


def is_several(settings: SearchSettings) -> bool:
    """Whether trials are judged by several metrics."""
    return len(settings.metric) > 1


def wanted(direction: str) -> str:
    """`higher is better` or `lower is better`."""
    return "higher is better" if direction == "maximize" else "lower is better"


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each dotted key; as much of it as it takes to tell two apart."""
    names: dict[str, str] = {}
    for key in keys:
        parts = key.lstrip("+").split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[-count:])
            alike = [other for other in keys if other != key and f".{other.lstrip('+')}".endswith(f".{name}")]
            if not alike:
                break
        names[key] = name
    return names
