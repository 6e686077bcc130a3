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

from hft.errors import DamagedError, HftError, RunNotFoundError
from hft.experiments.run_folder import record_files
from hft.experiments.run_model import has_model
from hft.experiments.run_record import RunRecord, load_record


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

        Values of different data do not compare: it is the best on the data that the iteration turned to last, of those
        on which a run was measured on test where there are such. Runs on a part of the data (a fold, trainer=debug)
        count only where there is no other. None: there is no run.
        """
        found = [(one, best) for one in self.on_each_data() if (best := one._best_with_model()) is not None]
        return max(found, key=lambda pair: (pair[0].is_finished, pair[0].begun))[1] if found else None

    def winner(self) -> RunRecord | None:
        """What came of the iteration: the best of the runs that were measured on test, else of all that are done.

        On the data that the iteration turned to last, as for `best`.
        """
        found = [(one, best) for one in self.on_each_data() if (best := one._winner()) is not None]
        return max(found, key=lambda pair: (is_measured_on_test(pair[1]), pair[0].begun))[1] if found else None

    def on_each_data(self) -> list[Iteration]:
        """The iteration apart by the data that its runs saw, in order of their beginning; each has its own batches.

        Runs on a part of the data go with the last whole data of their batch, if there is one.
        """
        groups: dict[str, list[RunRecord]] = {}
        whole: dict[str, str] = {}
        for record in self.records:
            if not _saw_a_part(record):
                groups.setdefault(record.hashes["data"], []).append(record)
                whole[str(batch_of(record))] = record.hashes["data"]
        for record in self.records:
            if _saw_a_part(record):
                data = whole.get(str(batch_of(record))) or record.hashes.get("data", "")
                groups.setdefault(data, []).append(record)
        apart = []
        for group in groups.values():
            group.sort(key=lambda record: (record.started, record.run_id))
            apart.append(replace(self, records=tuple(group), batches=_batches_of(group)))
        return sorted(apart, key=lambda one: one.begun)

    def _best_with_model(self) -> RunRecord | None:
        return _best_of_the_whole([record for record in self.records if has_model(record)])

    def _winner(self) -> RunRecord | None:
        measured = [record for record in self.records if is_measured_on_test(record)]
        return _best_of_the_whole(measured) or _best_of_the_whole(self.records)


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


def read_records(outputs: str | os.PathLike[str], *, broken: list[str] | None = None) -> list[RunRecord]:
    """All records under `outputs`. Copies that were downloaded from a store come last.

    Args:
        outputs: where runs land.
        broken: gets a line for each record that cannot be read, which is left out. Whoever chooses among runs gives
            none: the best one may be among these.

    Raises:
        DamagedError: a record cannot be read, and `broken` is not given.
    """
    downloaded = Path(outputs) / "downloaded"
    records = []
    for file in sorted(record_files(outputs), key=lambda file: (file.is_relative_to(downloaded), str(file))):
        try:
            records.append(load_record(file))
        except RunNotFoundError:
            continue  # removed meanwhile
        except HftError as error:
            if broken is not None:
                broken.append(f"Left out: {error}")
                continue
            raise DamagedError(f"{error} To go on without this run, move its folder out of {outputs}.") from error
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


def is_measured_on_test(record: RunRecord) -> bool:
    """Whether the run has a value of its main metric on test. Of a search's trials the winner alone has."""
    return f"test_{record.main_metric}" in record.results.metrics


def batch_of(record: RunRecord) -> str | int | None:
    """`data.batch_id` of the run."""
    batch: str | int | None = (record.config.get("data") or {}).get("batch_id")
    return batch


def _best_of_the_whole(records: Sequence[RunRecord]) -> RunRecord | None:
    """The best of the runs on all data; where there is none, of those on the part that was trained on last."""
    best = best_of([record for record in records if not _saw_a_part(record)])
    valued = [record for record in records if validation_value(record) is not None]
    if best is not None or not valued:
        return best
    last = max(valued, key=lambda record: (record.started, record.run_id)).hashes.get("data")
    return best_of([record for record in valued if record.hashes.get("data") == last])


def _saw_a_part(record: RunRecord) -> bool:
    """Whether the run saw a part of its data only; or none, so that nobody knows which it was to see."""
    data = record.config.get("data") or {}
    is_limited = any(data.get(key) is not None for key in ("fold", "limit_sessions", "limit_items"))
    return is_limited or data.get("train_share") not in (None, 1) or not record.hashes.get("data")


def _parent_of(group: list[RunRecord]) -> str | None:
    """The run from which most runs of an iteration started. Those that go on from one of its own do not count."""
    own = {record.run_id for record in group}
    counts = Counter(record.parent for record in group if record.parent is not None and record.parent not in own)
    if not counts:
        return None
    return min(counts, key=lambda parent: (-counts[parent], parent))


def _batches_of(group: list[RunRecord]) -> tuple[str | int | None, ...]:
    return tuple(dict.fromkeys(map(batch_of, group)))


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
