"""The history of a method: its iterations, what each started from and came to, and whether that is more than chance."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hft.errors import DataError, HftError
from hft.experiments.champions import champion_of, store_uri
from hft.experiments.iterations import Iteration, iterations, read_records, validation_value
from hft.experiments.run_record import RunRecord
from hft.experiments.side_by_side import Values, paired_values
from hft.experiments.store import absolute_uri


@dataclass(frozen=True)
class Significance:
    """A paired test over the test queries that two models have in common.

    Args:
        difference: mean of (the iteration's winner - the other).
        p: two-sided.
        queries: how many.
    """

    difference: float
    p: float
    queries: int


# Values a query of the other model and of the winner, none of them NaN, same order.
PairedTest = Callable[[Values, Values], Significance]


@dataclass(frozen=True)
class IterationRow:
    """An iteration as `hft runs --tree` shows it.

    Args:
        method: its name.
        name: of the iteration.
        depth: iterations before it.
        batches: of clickstream.
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
        against_initial: the winner against the initial model, as the first iteration's winner measured it, over the
            test queries that both runs have. Batches can judge a query differently: of another batch's it says less.
        is_champion: whether the champion is a run of this iteration.
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
    """All iterations under `outputs`, by method, parents before their children.

    Args:
        outputs: where runs land.
        paired_test: of two models' values a query.

    Returns:
        the rows, and what could not be asked or read, in words.
    """
    records = read_records(outputs)
    found = iterations(records)
    champions, notes = _champions({one.method for one in found}, outputs, stores_of(records, outputs))
    by_run = {record.run_id: one for one in found for record in one.records}
    rows = []
    for one in found:
        try:
            rows.append(_row(one, by_run, champions.get(one.method), paired_test))
        except DataError as error:  # values a query that cannot be read
            notes.append(str(error))
            rows.append(_row(one, by_run, champions.get(one.method), None))
    return rows, notes


def stores_of(records: Iterable[RunRecord], outputs: str | os.PathLike[str]) -> list[str]:
    """Addresses of the stores that may know champions of these runs: the one that `hft promote` asks first."""
    tracked = sorted({absolute_uri(record.tracking.uri) for record in records if record.tracking.uri is not None})
    return list(dict.fromkeys([store_uri(outputs), *tracked]))


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


def _row(
    one: Iteration, by_run: Mapping[str, Iteration], champion: str | None, paired_test: PairedTest | None
) -> IterationRow:
    winner = one.winner()
    parent_iteration = by_run.get(one.parent or "")
    is_champion = any(record.run_id == champion for record in one.records)
    facts = IterationRow(
        method=one.method,
        name=one.name,
        depth=one.depth,
        batches=one.batches,
        parent=one.parent,
        parent_iteration=None if parent_iteration is None else parent_iteration.name,
        runs=len(one.records),
        trials=sum(record.trial is not None for record in one.records),
        failed=sum(record.status_now == "failed" for record in one.records),
        is_champion=is_champion,
        champion=champion if is_champion else None,
    )
    if winner is None:
        return facts
    metric, metrics = winner.main_metric, winner.results.metrics
    return IterationRow(
        **{
            **vars(facts),
            "winner": winner.run_id,
            "winner_name": winner.name,
            "folder": str(winner.folder),
            "metric": metric,
            "start": metrics.get(f"validation_{metric}_start"),
            "best": validation_value(winner),
            "test_start": metrics.get(f"test_{metric}_start"),
            "test": metrics.get(f"test_{metric}"),
            "test_p": metrics.get(f"test_{metric}_p"),
            "against_parent": _significance(winner, winner, paired_test) if one.parent is not None else None,
            "against_initial": _significance(_first_winner(one, by_run), winner, paired_test),
        }
    )


def _first_winner(one: Iteration, by_run: Mapping[str, Iteration]) -> RunRecord | None:
    """The winner of the iteration at the root of the chain, whose start is the initial model."""
    seen: set[str] = set()
    while one.parent is not None and one.name not in seen:
        seen.add(one.name)
        before = by_run.get(one.parent)
        if before is None:
            return None
        one = before
    return one.winner() if one.parent is None else None


def _significance(start_of: RunRecord | None, winner: RunRecord, paired_test: PairedTest | None) -> Significance | None:
    """The winner's tuned model against the model that a run started from."""
    if start_of is None or paired_test is None:
        return None
    pairs = paired_values(start_of, winner, ("start", "tuned")).get(winner.main_metric or "")
    if pairs is None:
        return None
    known = ~(np.isnan(pairs[0]) | np.isnan(pairs[1]))
    return paired_test(pairs[0][known], pairs[1][known]) if known.any() else None
