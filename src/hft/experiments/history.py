"""The history of a method: its iterations, what each started from and came to, and whether that is more than chance."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hft.errors import DataError, HftError
from hft.experiments.champions import champion_of, store_uri
from hft.experiments.iteration_records import (
    Iteration,
    is_measured_on_test,
    iterations,
    read_records,
    validation_value,
)
from hft.experiments.run_counts import RunCounts, run_counts
from hft.experiments.run_record import RunRecord
from hft.experiments.side_by_side import Values, number_of_values, paired_values
from hft.experiments.store import absolute_uri, may_be_asked, not_asked

# An interval of 95% leaves out 0 if p is below this.
_LEFT_OUT_BELOW = 0.05


@dataclass(frozen=True)
class Significance:
    """A paired test over the test queries for which two models have values.

    Args:
        difference: mean of (the iteration's winner - the other).
        p: two-sided.
        queries: how many.
        of_queries: how many the winner has, where the other model was measured in another run, so that only the queries
            that both have were compared; None: both were measured on all of the winner's.
        interval: 95% of the difference; None where it is not known.
    """

    difference: float
    p: float
    queries: int
    of_queries: int | None = None
    interval: tuple[float, float] | None = None


# Values a query of the other model and of the winner, none of them NaN, same order.
PairedTest = Callable[[Values, Values], Significance]


@dataclass(frozen=True)
class IterationRow:
    """An iteration as `hft runs --tree` shows it, on one batch: values on different data do not compare.

    Args:
        method: its name.
        name: of the iteration.
        depth: iterations before it.
        batches: of clickstream.
        data: hash of the winner's data.
        parent: id of the run that it started from.
        parent_iteration: the name of that run's iteration.
        runs: how many belong to it, trials among them.
        trials: how many of them are trials of sweeps.
        failed: how many of them failed.
        winner: id of its best run.
        winner_name: as the user named that run.
        folder: of the winner.
        metric: the main metric's name.
        start, best: its validation value of the model that the winner started from, and of the winner.
        test_start, test: likewise on test; None: it was not read.
        test_p: of their difference.
        against_parent: the winner against the model that it started from, over the winner's test queries.
        against_initial: the winner against the initial model: as the winner's own run measured that one; else as a run
            of the first iteration did, over the test queries that both runs have (batches can judge a query
            differently: of another batch's it says less); None: it was not measured on these queries.
        is_champion: whether the champion is among these runs.
        champion: its id then.
    """

    method: str
    name: str
    depth: int
    batches: tuple[str | int | None, ...]
    parent: str | None
    parent_iteration: str | None
    runs: int
    trials: int
    failed: int
    data: str | None = None
    winner: str | None = None
    winner_name: str | None = None
    folder: str | None = None
    metric: str | None = None
    start: float | None = None
    best: float | None = None
    test_start: float | None = None
    test: float | None = None
    test_p: float | None = None
    against_parent: Significance | None = None
    against_initial: Significance | None = None
    is_champion: bool = False
    champion: str | None = None


def history(outputs: str | os.PathLike[str], paired_test: PairedTest) -> tuple[list[IterationRow], list[str]]:
    """All iterations under `outputs`, by method, parents before their children; a row for each data of an iteration.

    Args:
        outputs: where runs land.
        paired_test: of two models' values a query.

    Returns:
        the rows, and what could not be asked or read, in words.
    """
    broken: list[str] = []
    records = read_records(outputs, broken=broken)
    found = iterations(records)
    champions, unknown = _champions({one.method for one in found}, outputs, stores_of(records, outputs))
    notes = [*broken, *unknown, *(f"Champions are not known: {not_asked(uri)}" for uri in stores_not_asked(records))]
    by_run = {record.run_id: one for one in found for record in one.records}
    rows = []
    for one in found:
        apart = one.on_each_data()
        counts = run_counts([part.records for part in apart])
        for part, counted in zip(apart, counts, strict=True):
            facts = _facts(part, by_run, champions.get(one.method), counted)
            try:
                rows.append(_row(part, facts, records, paired_test))
            except DataError as error:  # values a query that cannot be read
                notes.append(str(error))
                rows.append(_row(part, facts, records, None))
    return rows, notes


def stores_of(records: Iterable[RunRecord], outputs: str | os.PathLike[str]) -> list[str]:
    """Addresses of the stores that may know champions of these runs: the one that `hft promote` asks first."""
    return list(dict.fromkeys([store_uri(outputs), *(uri for uri in _tracked(records) if may_be_asked(uri))]))


def stores_not_asked(records: Iterable[RunRecord]) -> list[str]:
    """Addresses of stores that records name and that are not known to be the user's."""
    return [uri for uri in _tracked(records) if not may_be_asked(uri)]


def _tracked(records: Iterable[RunRecord]) -> list[str]:
    return sorted({absolute_uri(record.tracking.uri) for record in records if record.tracking.uri is not None})


def _champions(
    methods: set[str], outputs: str | os.PathLike[str], stores: list[str]
) -> tuple[dict[str, str], list[str]]:
    """Id of the champion's run by method, of the first store that knows one."""
    champions: dict[str, str] = {}
    notes = []
    for method, uri in itertools.product(sorted(methods), stores):
        if method in champions:
            continue
        try:
            champion = champion_of(method, outputs, uri)
        except HftError as error:
            notes.append(f"The champion of {method} is not known: {error}")
            continue
        if champion is not None:
            champions[method] = champion.run_id
    return champions, notes


def _facts(one: Iteration, by_run: Mapping[str, Iteration], champion: str | None, counted: RunCounts) -> IterationRow:
    """What is known before there is a winner."""
    parent_iteration = by_run.get(one.parent or "")
    is_champion = any(record.run_id == champion for record in one.records)
    return IterationRow(
        method=one.method,
        name=one.name,
        depth=one.depth,
        batches=one.batches,
        parent=one.parent,
        parent_iteration=None if parent_iteration is None else parent_iteration.name,
        **vars(counted),
        is_champion=is_champion,
        champion=champion if is_champion else None,
    )


def _row(
    one: Iteration, facts: IterationRow, records: Sequence[RunRecord], paired_test: PairedTest | None
) -> IterationRow:
    winner = one.winner()
    if winner is None:
        return facts
    metric, metrics = winner.main_metric, winner.results.metrics
    return replace(
        facts,
        data=winner.hashes.get("data"),
        winner=winner.run_id,
        winner_name=winner.name,
        folder=str(winner.folder),
        metric=metric,
        start=metrics.get(f"validation_{metric}_start"),
        best=validation_value(winner),
        test_start=metrics.get(f"test_{metric}_start"),
        test=metrics.get(f"test_{metric}"),
        test_p=metrics.get(f"test_{metric}_p"),
        against_parent=None if winner.parent is None else _against_start(winner, paired_test),
        against_initial=_against_initial(winner, records, paired_test),
    )


def _against_start(winner: RunRecord, paired_test: PairedTest | None) -> Significance | None:
    """The winner against the model that it started from. Its report tested that already: there is one p for it.

    An older hft may have worked it out by another rule: if it says the opposite of the interval, it is not repeated.
    """
    found = _significance(winner, winner, ("start", "tuned"), paired_test)
    p = winner.results.metrics.get(f"test_{winner.main_metric}_p")
    if found is None or p is None or found.interval is None:
        return found
    low, high = found.interval
    return replace(found, p=p) if (p < _LEFT_OUT_BELOW) == (low > 0.0 or high < 0.0) else found


def _against_initial(
    winner: RunRecord, records: Sequence[RunRecord], paired_test: PairedTest | None
) -> Significance | None:
    if winner.parent is None:
        return _against_start(winner, paired_test)
    found = _significance(winner, winner, ("initial", "tuned"), paired_test)
    if found is not None:
        return found
    for other in _runs_from_the_initial_model(winner, records):
        found = _significance(other, winner, ("start", "tuned"), paired_test)
        if found is not None:
            return replace(found, of_queries=number_of_values(winner))
    return None


def _runs_from_the_initial_model(winner: RunRecord, records: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs measured on test that started from the model at the root of the winner's chain; the best to ask first."""
    by_id = {record.run_id: record for record in reversed(records)}
    root, seen = winner, {winner.run_id}
    while root.parent is not None:
        before = by_id.get(root.parent)
        if before is None or before.run_id in seen:
            return []  # its record is gone
        seen.add(before.run_id)
        root = before
    same = [
        record
        for record in records
        if record.parent is None
        and record.method == root.method
        and record.main_metric == winner.main_metric
        and record.hashes.get("base_model") == root.hashes.get("base_model")
        and record.config.get("model") == root.config.get("model")
        and is_measured_on_test(record)
    ]
    data = winner.hashes.get("data")
    return sorted(same, key=lambda one: (one.hashes.get("data") != data, one.run_id != root.run_id, one.started))


def _significance(
    other: RunRecord, winner: RunRecord, models: tuple[str, str], paired_test: PairedTest | None
) -> Significance | None:
    """The second model, of the winner's run, against the first, of another run."""
    if paired_test is None:
        return None
    pairs = paired_values(other, winner, models).get(winner.main_metric or "")
    if pairs is None:
        return None
    known = ~(np.isnan(pairs[0]) | np.isnan(pairs[1]))
    return paired_test(pairs[0][known], pairs[1][known]) if known.any() else None
