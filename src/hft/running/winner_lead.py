"""How far a search's winner is ahead of its runner-up on validation, and whether the queries can tell the two apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hft.errors import DataError
from hft.experiments.run_folder import PER_QUERY_NAME
from hft.experiments.side_by_side import values_a_query
from hft.metrics import compare
from hft.search import SweepState
from hft.search.results.ranking import ranked, trial_folder


def winner_lead(state: SweepState) -> str | None:
    """One sentence; None of a search with several metrics, or with fewer than two trials that have a value.

    Both were chosen by the same queries: of many alike trials the first two are nearer to each other than any two, so
    that the choice makes the interval no less safe.

    Args:
        state: in which the search ended.
    """
    if len(state.settings.metric) != 1 or len(ranked(state)) < 2:
        return None
    (metric,) = state.settings.metric
    winner, second = ranked(state)[:2]
    lead = state.settings.signs[0] * (second.values[0] - winner.values[0])
    begin = f"Lead over the runner-up, trial {second.number}: {lead:.4f} {metric}"
    try:
        first, other = (_values(trial_folder(state, trial), metric) for trial in (winner, second))
    except DataError as error:
        return f"{begin}. Cannot tell whether it is more than chance: {error}"
    shared = sorted(first.keys() & other.keys())
    if not shared:
        return f"{begin}. Cannot tell whether it is more than chance: the trials kept no values of the same queries."
    found = compare([other[query] for query in shared], [first[query] for query in shared])
    assert found.interval is not None
    low, high = found.interval
    answer = "more than chance" if low > 0.0 or high < 0.0 else "cannot tell the two apart"
    return (
        f"{begin}; winner - runner-up over {len(shared):,} validation queries {found.difference:+.4f}, "
        f"95% {low:+.4f} to {high:+.4f}: {answer}."
    )


def _values(folder: Path | None, metric: str) -> dict[str, float]:
    """A trial's value by query; of one of several seeds and folds, the mean over those that have the query.

    Raises:
        DataError: a file of values cannot be read.
    """
    found: dict[str, list[float]] = {}
    folders = [] if folder is None else [file.parent for file in sorted(folder.glob(f"*/{PER_QUERY_NAME}"))] or [folder]
    for one in folders:
        kept = values_a_query(one, "validation")
        values = kept.get(f"{metric.removeprefix('validation_')}/tuned")
        if values is None:
            continue
        for query, value in zip(kept["query_hash"].tolist(), values.tolist(), strict=True):
            if not np.isnan(value):
                found.setdefault(query, []).append(value)
    return {query: float(np.mean(values)) for query, values in found.items()}
