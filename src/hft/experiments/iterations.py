"""Iterations: rounds of one method, each from a run of an earlier one, on a batch of clickstream of its own.

An iteration is what the records say: all runs of a method that bear the iteration's name. Its parent is the run that
its runs started from; its batch is `data.batch_id`.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hft.errors import ConfigError, HftError, RunNotFoundError
from hft.experiments.find import find_run
from hft.experiments.run_folder import MODEL_NAME, record_files
from hft.experiments.run_record import RunRecord, load_record

INITIAL = "initial"
AUTO = "auto"


@dataclass(frozen=True)
class Iteration:
    """A round of a method.

    Args:
        method: its name.
        name: of the iteration.
        records: its runs, oldest first.
        parent: id of the run that it started from; None: the model of the config.
        batches: `data.batch_id` of its runs, in order; None where they name none.
        depth: rounds before it, along the parents: 0 without a parent.
    """

    method: str
    name: str
    records: tuple[RunRecord, ...]
    parent: str | None
    batches: tuple[str | int | None, ...]
    depth: int = 0

    @property
    def begun(self) -> str:
        """When its first run started."""
        return self.records[0].started

    @property
    def is_finished(self) -> bool:
        """Whether a run of it was measured on test and kept its model.

        A search measures its winner alone, and at its end: one that was killed has not finished the iteration, and the
        same command goes on with it.
        """
        return any(
            record.status_now == "done" and has_model(record) and is_measured_on_test(record) for record in self.records
        )

    def best(self) -> RunRecord | None:
        """The done run with the best validation value of its main metric that kept its model; of equal ones the first.

        Runs on a part of the data (a fold, trainer=debug) count only where there is no other. None: there is no run.
        """
        return _best_of_the_whole([record for record in self.records if has_model(record)])

    def winner(self) -> RunRecord | None:
        """What came of the iteration: the best of the runs that were measured on test, else of all that are done."""
        measured = [record for record in self.records if is_measured_on_test(record)]
        return _best_of_the_whole(measured) or _best_of_the_whole(self.records)


@dataclass(frozen=True)
class ResolvedIteration:
    """Which iteration a config means.

    Args:
        name: of the iteration.
        start_from: id of the run whose model it starts from; None: the model of the config.
        parent: that run.
    """

    name: str
    start_from: str | None
    parent: RunRecord | None


def resolve_iteration(config: Mapping[str, Any]) -> ResolvedIteration:
    """Decides `iteration.start_from=auto` and `iteration.name=null`. Reads records only; imports no torch.

    `auto` is, in this order:

    1. where `data.batch_id` names a batch that an iteration of this method was started on before, or `iteration.name`
       an iteration with a parent: that iteration's parent. So the same command goes on with the same iteration.
    2. the champion of the method.
    3. the best run, by its main metric on validation, of the last finished iteration of the method: of those with a run
       that was measured on test the deepest in the chain of parents, and of equally deep ones the one begun last. Runs
       that failed, were pruned or kept no model are no candidates.

    A name of null is the number after the parent's (initial -> 1 -> 2); numbers that are taken by an iteration of
    another parent or batch, or by a finished one of no named batch, are passed over.

    Args:
        config: composed, with `iteration`, `method`, `data`, `outputs` and `tracking`.

    Raises:
        RunNotFoundError: no such run, none to start from, or its model is gone.
        ConfigError: `iteration.start_from` is a run of another method.
        TrackingError: the champion cannot be asked for.
    """
    asked = config.get("iteration") or {}
    name, start_from = asked.get("name"), asked.get("start_from")
    name = None if name is None else str(name)
    if start_from is None:
        return ResolvedIteration(name or INITIAL, None, None)
    outputs, method = str(config.get("outputs") or "outputs"), _method_of(config)
    known = iterations(read_records(outputs), method)
    batch = (config.get("data") or {}).get("batch_id")
    if str(start_from) == AUTO:
        parent = _automatic_parent(config, known, name, batch)
    else:
        parent = find_run(str(start_from), outputs)
    _require_usable(parent, method)
    return ResolvedIteration(name or _next_name(parent, known, batch), parent.run_id, parent)


def iterations(records: Iterable[RunRecord], method: str | None = None) -> list[Iteration]:
    """The iterations that runs belong to: each followed by those that started from it, in order of their beginning.

    Args:
        records: of any runs; of several with one id (a downloaded copy) the first counts.
        method: of this one only; None: of all.
    """
    unique: dict[str, RunRecord] = {}
    for record in records:
        unique.setdefault(record.run_id, record)
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for record in sorted(unique.values(), key=lambda record: (record.started, record.run_id)):
        if method is None or record.method == method:
            groups.setdefault((record.method, record.iteration), []).append(record)
    plain = {key: Iteration(*key, tuple(group), _parent_of(group), _batches_of(group)) for key, group in groups.items()}
    chains = {key: _chain(one, plain, unique) for key, one in plain.items()}
    found = [replace(one, depth=_depth(chains[key])) for key, one in plain.items()]
    order = {key: [(one.begun, one.name) for one in chain] for key, chain in chains.items()}
    return sorted(found, key=lambda one: (one.method, order[one.method, one.name]))


def read_records(outputs: str | os.PathLike[str]) -> list[RunRecord]:
    """All records under `outputs` that can be read. Copies that were downloaded from a store come last."""
    downloaded = Path(outputs) / "downloaded"
    records = []
    for file in sorted(record_files(outputs), key=lambda file: (file.is_relative_to(downloaded), str(file))):
        try:
            records.append(load_record(file))
        except HftError:
            continue  # `hft runs` lists it as broken
    return records


def validation_value(record: RunRecord) -> float | None:
    """The main metric on validation of a run that is done; None: it has none that is a number."""
    if record.status_now != "done" or record.main_metric is None:
        return None
    value = record.results.metrics.get(f"validation_{record.main_metric}")
    return value if value is not None and math.isfinite(value) else None


def sign_of(record: RunRecord) -> float:
    """+1.0 where a higher value of the main metric is better, else -1.0."""
    return -1.0 if (record.config.get("method") or {}).get("direction") == "minimize" else 1.0


def best_of(records: Iterable[RunRecord]) -> RunRecord | None:
    """The record with the best validation value; of equal ones the one that started first. None: none has a value."""
    ranked = [(record, value) for record in records if (value := validation_value(record)) is not None]
    if not ranked:
        return None
    return min(ranked, key=lambda pair: (-sign_of(pair[0]) * pair[1], pair[0].started, pair[0].run_id))[0]


def has_model(record: RunRecord) -> bool:
    """Whether the run's tuned model is in its folder."""
    return (record.folder / MODEL_NAME).is_dir()


def is_measured_on_test(record: RunRecord) -> bool:
    """Whether the run has a value of its main metric on test. Of a search's trials the winner alone has."""
    return f"test_{record.main_metric}" in record.results.metrics


def _automatic_parent(
    config: Mapping[str, Any], known: list[Iteration], name: str | None, batch: str | int | None
) -> RunRecord:
    outputs, method = str(config.get("outputs") or "outputs"), _method_of(config)
    again = _same_again(known, name, batch)
    if again is not None and again.parent is not None:
        return find_run(again.parent, outputs)
    from hft.experiments.champions import champion_of

    tracking = config.get("tracking") or {}
    uri = str(tracking["uri"]) if tracking.get("kind") == "mlflow" and tracking.get("uri") else None
    champion = champion_of(method, outputs, uri)
    if champion is not None:
        return champion
    finished = [one for one in known if one.name != name and one.is_finished and one.best() is not None]
    if finished:
        best = max(finished, key=lambda one: (one.depth, one.begun)).best()
        assert best is not None
        return best
    raise RunNotFoundError(
        f"iteration.start_from={AUTO}: the method {method!r} has no champion, and no finished iteration under "
        f"{outputs} whose best run could be started from. Make the first one with `hft train -m`, or name a run "
        "(iteration.start_from=RUN)."
    )


def _same_again(known: list[Iteration], name: str | None, batch: str | int | None) -> Iteration | None:
    """The iteration that a name or, without one, a batch means, if it was started from another run before."""
    started = [one for one in known if one.parent is not None]
    if name is not None:
        return next((one for one in started if one.name == name), None)
    if batch is None:
        return None
    return max((one for one in started if _batch_is(one, batch)), key=lambda one: (one.depth, one.begun), default=None)


def _next_name(parent: RunRecord, known: list[Iteration], batch: str | int | None) -> str:
    depths = {one.name: one.depth for one in known}
    before = parent.iteration
    number = int(before) if before.isdecimal() else depths.get(before, 0)
    taken = {one.name: one for one in known}
    while True:
        number += 1
        one = taken.get(str(number))
        if one is None or (one.parent == parent.run_id and _goes_on(one, batch)):
            return str(number)


def _goes_on(one: Iteration, batch: str | int | None) -> bool:
    """Whether runs on this batch belong to the iteration."""
    return _batch_is(one, batch) and (batch is not None or not one.is_finished)


def _batch_is(one: Iteration, batch: str | int | None) -> bool:
    return any(str(known) == str(batch) for known in one.batches)


def _require_usable(parent: RunRecord, method: str) -> None:
    if parent.method != method:
        raise ConfigError(
            f"iteration.start_from: the run {parent.run_id[:8]} ({parent.folder}) is of the method {parent.method!r}, "
            f"and this is an iteration of {method!r}. Start from a run of {method!r}; `hft runs` lists them."
        )
    if not has_model(parent):
        raise RunNotFoundError(
            f"iteration.start_from: the run {parent.run_id[:8]} ({parent.folder}) has no model: it ended without one "
            f"({parent.status_now}), or it was removed since. Start from another run; `hft runs` lists them."
        )


def _method_of(config: Mapping[str, Any]) -> str:
    return str(((config.get("method") or {}).get("meta") or {}).get("name") or "?")


def _best_of_the_whole(records: Sequence[RunRecord]) -> RunRecord | None:
    """The best of the runs on all data; where there is none, of those on a part."""
    return best_of([record for record in records if not _saw_a_part(record)]) or best_of(records)


def _saw_a_part(record: RunRecord) -> bool:
    data = record.config.get("data") or {}
    return any(data.get(key) is not None for key in ("fold", "limit_sessions", "limit_items"))


def _parent_of(group: list[RunRecord]) -> str | None:
    """The run from which most runs of an iteration started. Those that go on from one of its own do not count."""
    own = {record.run_id for record in group}
    counts = Counter(record.parent for record in group if record.parent is not None and record.parent not in own)
    if not counts:
        return None
    return min(counts, key=lambda parent: (-counts[parent], parent))


def _batches_of(group: list[RunRecord]) -> tuple[str | int | None, ...]:
    return tuple(dict.fromkeys((record.config.get("data") or {}).get("batch_id") for record in group))


def _chain(
    one: Iteration, known: Mapping[tuple[str, str], Iteration], records: Mapping[str, RunRecord]
) -> list[Iteration]:
    """An iteration and those before it, the first one first."""
    chain = [one]
    while chain[0].parent is not None:
        parent = records.get(chain[0].parent)
        before = None if parent is None else known.get((parent.method, parent.iteration))
        if before is None or before in chain:
            break  # its record is gone, or somebody made a circle of names
        chain.insert(0, before)
    return chain


def _depth(chain: list[Iteration]) -> int:
    return len(chain) - 1 + (chain[0].parent is not None)
