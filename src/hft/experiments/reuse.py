"""What a search takes over from the past: parameters of an iteration's runs, typed again, and what they gained."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from hft.errors import DataError
from hft.experiments.iteration_records import read_records, sign_of, validation_value
from hft.experiments.manager import manager_for
from hft.experiments.run_record import RunRecord
from hft.experiments.store import TrackingError
from hft.experiments.tracked_result import PastRun
from hft.settings import FineTuningParams, SettingsScalars

Params = dict[str, Any]

_TYPED: dict[str, type[BaseModel]] = {"params": FineTuningParams, "settings": SettingsScalars}


@dataclass(frozen=True)
class PastParams:
    """Parameters of an iteration, by config key or group, values typed again.

    Args:
        starting: of the run to start from.
        top: of the best others of its iteration, best first, all distinct and none equal to `starting`.
        observations: of each finished trial of it: its values of the search space's keys alone, and its gain over the
            model that the iteration started from; a higher gain is better, whatever the metric's direction.
        notes: what could not be looked at, in words.
    """

    starting: Params
    top: list[Params]
    observations: list[tuple[Params, float]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Past:
    """A finished trial: where its parameters stand, and how it did."""

    where: str
    run_id: str
    started: str
    config: Mapping[str, Any]
    choices: Mapping[str, Any]
    value: float
    start: float | None


def past_params(
    parent: RunRecord, outputs: str | os.PathLike[str], keys: Collection[str], n_top_runs: int
) -> PastParams:
    """Parameters of the run to start from, and of the other runs of its iteration that are done.

    Runs are compared by the parent's main metric on validation, and only those on the same data as the parent: values
    of a smaller share or of another batch do not compare. Nor do those of one training with a mean over folds or seeds:
    where the parent won such a search, its trials are looked at and nothing else. Runs whose folder is gone are read
    from the tracking store of the parent.

    Args:
        parent: the run to start from.
        outputs: where runs land.
        keys: of the search space: dotted config keys and groups, Hydra's `+` allowed. Keys that a run does not have are
            absent.
        n_top_runs: how many others.

    Returns:
        `starting` and `top` hold all of `params.*` and the keys; `observations` the keys alone.

    Raises:
        DataError: a value in a record is not valid; names the record and the key.
    """
    of_parent = _from_record(parent, 0.0)
    past, notes = _trials(parent, outputs)
    sign = sign_of(parent)
    ranked = sorted(past, key=lambda one: (-sign * one.value, one.started, one.run_id))
    starting = _params(of_parent, keys, whole=True)
    seen = {_identity(starting)}
    top: list[Params] = []
    for one in ranked:
        if len(top) >= n_top_runs:
            break
        params = _params(one, keys, whole=True)
        if _identity(params) not in seen:
            seen.add(_identity(params))
            top.append(params)
    base = _start_of(parent)
    observations = [(_params(one, keys, whole=False), sign * (one.value - _or(one.start, base))) for one in past]
    return PastParams(starting, top, [one for one in observations if one[0]], notes)


def _trials(parent: RunRecord, outputs: str | os.PathLike[str]) -> tuple[list[_Past], tuple[str, ...]]:
    """Finished trials of the parent's iteration, oldest first."""
    records: dict[str, RunRecord] = {}
    for record in read_records(outputs):
        if (record.method, record.iteration) == (parent.method, parent.iteration):
            records.setdefault(record.run_id, record)
    found = [
        _from_record(record, value)
        for record in records.values()
        if _compares(record, parent) and (value := validation_value(record)) is not None
    ]
    stored, notes = _from_the_store(parent, records)
    return sorted([*found, *stored], key=lambda one: (one.started, one.run_id)), notes


def _compares(record: RunRecord, parent: RunRecord) -> bool:
    same_data = record.hashes.get("data") == parent.hashes.get("data")
    measured = _mean_over(record.config) if record.trial is not None else ()
    return same_data and record.main_metric == parent.main_metric and measured == _mean_over(parent.config)


def _mean_over(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """Folds and seeds over which a trial of this config is a mean; empty: it is one training."""
    search = config.get("search") or {}
    found = (search.get("folds"), search.get("seeds"))
    return found if any(found) else ()


def _from_record(record: RunRecord, value: float) -> _Past:
    where = str(record.folder / "run.yaml")
    return _Past(where, record.run_id, record.started, record.config, record.choices, value, _start_or_none(record))


def _from_the_store(parent: RunRecord, known: Mapping[str, RunRecord]) -> tuple[list[_Past], tuple[str, ...]]:
    """Runs that the parent's store has and no folder."""
    tracking = parent.tracking
    if tracking.kind != "mlflow" or tracking.uri is None or tracking.experiment is None or parent.main_metric is None:
        return [], ()
    try:
        manager = manager_for(tracking.uri)
        reason = manager.why_away(ask_again=False)
        runs: Sequence[PastRun] = [] if reason else manager.past_runs(tracking.experiment, parent.main_metric)
    except TrackingError as error:
        runs, reason = [], str(error)
    if reason:
        return [], (f"Runs whose folders are gone were not looked for: {reason}",)
    return [
        _Past(f"MLflow run {run.mlflow_run_id}", run.run_id, run.started, run.config, run.choices, run.value, run.start)
        for run in runs
        if run.run_id not in known and run.data_hash == parent.hashes.get("data")
    ], ()


def _params(past: _Past, keys: Collection[str], *, whole: bool) -> Params:
    found: Params = {f"params.{name}": value for name, value in _typed(past, "params").items()} if whole else {}
    for key in keys:
        name = key.lstrip("+~")
        node, _, rest = name.partition(".")
        if "/" in name or (not rest and name in past.choices):
            if past.choices.get(name) is not None:
                found[key] = past.choices[name]
        elif node in _TYPED and rest:
            typed = _typed(past, node)
            if rest in typed:
                found[key] = typed[rest]
        else:
            value = _at(past.config, name)
            if value is not _ABSENT:
                found[key] = value
    return found


def _typed(past: _Past, node: str) -> Mapping[str, Any]:
    """The values of a node that the run had, as the settings model types them."""
    given = past.config.get(node) or {}
    try:
        return _TYPED[node].model_validate(given).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([node, *map(str, first["loc"])])
        found = f" (found {first['input']!r})" if first["loc"] else ""
        raise DataError(
            f"{past.where}: {key}: {first['msg']}{found}. It was changed by hand, or another version of hft wrote it: "
            "mend the record, or search with search.reuse=none."
        ) from error


_ABSENT = object()


def _at(config: Mapping[str, Any], key: str) -> Any:
    if key in config:
        return config[key]
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _start_or_none(record: RunRecord) -> float | None:
    return record.results.metrics.get(f"validation_{record.main_metric}_start")


def _start_of(record: RunRecord) -> float:
    # Where nobody measured the start, gains are values less 0: ranks within the iteration are the same.
    return _or(_start_or_none(record), 0.0)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _identity(params: Params) -> str:
    return json.dumps(params, sort_keys=True, default=str)
