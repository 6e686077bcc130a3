"""What a log looks like: counts and distributions, as plain values, for people to look at before they train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hft.data.prepare import prepare_ranking_data
from hft.data.text_lengths import text_lengths
from hft.errors import DataError
from hft.moments import moment_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.ranking_data import RankingData
    from hft.data.source import SessionSource, Splitter

SCHEMA_VERSION = 1
# Positions, values and queries that are told one by one.
MOST_POSITIONS, MOST_VALUES, MOST_QUERIES = 50, 12, 10
_BINS = 40
_DAY = 86_400.0


def describe_data(source: SessionSource, splitter: Splitter, **options: Any) -> dict[str, Any]:
    """Reads, converts and splits a source, and describes the sessions as they were taken and the splits made of them.

    Args:
        source: of sessions.
        splitter: what is held out.
        options: as prepare_ranking_data takes them, but for `look` and `required_splits`.

    Returns:
        plain values, fit for JSON: `sessions`, `queries`, `results`, `events`, `positions`, `lengths`, `users`, `time`,
        `values`, and `report`, the preparation's. Where the source has no lists of its own and they are simulated, the
        sessions are those of the splits (`simulated`).

    Raises:
        ConfigError, DataError: as prepare_ranking_data does.
    """
    taken: list[FineTuningInputs] = []
    data = prepare_ranking_data(source, splitter, **options, look=taken.append, required_splits=())
    inputs, simulated = taken[0], not len(taken[0].flat_results)
    if simulated:
        inputs = _joined(data)
    return {
        "schema_version": SCHEMA_VERSION,
        "simulated": simulated,
        "sessions": _sessions(inputs),
        "queries": _queries(inputs, data.noise_words),
        "items": _items(inputs),
        "results": _summary(np.diff(inputs.offsets)),
        "events": _events(inputs),
        "positions": _positions(inputs),
        "lengths": _lengths(inputs),
        "users": _users(inputs),
        "time": _time(inputs),
        "values": {name: found for name in ("batch_id", "sort_by", "group") if (found := _values(inputs, name))},
        "report": data.report.to_dict(),
    }


def _joined(data: RankingData) -> FineTuningInputs:
    from hft.data.inputs import FineTuningInputs

    parts = [part.table for part in data.splits.values() if len(part)]
    if not parts:
        raise DataError("data.source: no session is left to describe.")
    return FineTuningInputs(pa.concat_tables(parts), data.items)


def _sessions(inputs: FineTuningInputs) -> dict[str, int]:
    return {
        "all": len(inputs),
        "with_event": int(inputs.has_event.sum()),
        "irrelevant": int(inputs.is_irrelevant.sum()),
        "judged": int(inputs.is_judged.sum()),
        "down_weighted": int((inputs.weights < 1).sum()),
    }


def _queries(inputs: FineTuningInputs, noise_words: Sequence[str]) -> dict[str, Any]:
    queries = inputs.coded_queries
    counts = np.bincount(queries.codes, minlength=len(queries.distinct))
    top = np.argsort(-counts, kind="stable")[:MOST_QUERIES]
    names = queries.distinct.column.take(pa.array(top)).to_pylist()
    keys = queries.distinct.key_numbers(noise_words)
    return {
        "texts": int((counts > 0).sum()),
        "without_near_duplicates": len(np.unique(keys[queries.used])),
        "repeated": int((counts > 1).sum()),
        "sessions_of_repeated": int(counts[counts > 1].sum()),
        "sessions_a_query": _summary(counts[counts > 0]),
        "most_frequent": [[name, int(counts[number])] for name, number in zip(names, top, strict=True)],
    }


def _items(inputs: FineTuningInputs) -> dict[str, int]:
    texts = inputs.items.table.column("text")
    return {
        "all": len(inputs.items),
        "texts": int(pc.count_distinct(texts).as_py()),
        "shown": int(np.count_nonzero(np.bincount(inputs.flat_results))),
        "picked": int(np.count_nonzero(np.bincount(inputs.flat_results[inputs.flat_events > 0]))),
    }


def _events(inputs: FineTuningInputs) -> dict[str, Any]:
    weights, counts = np.unique(inputs.flat_events[inputs.flat_events > 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    lengths, events = np.diff(inputs.offsets), inputs.events_of_sessions
    dwell = inputs.flat_dwell[~np.isnan(inputs.flat_dwell)]
    return {
        "all": int(counts.sum()),
        "by_weight": {f"{weights[place]:g}": int(counts[place]) for place in sorted(order.tolist())},
        "on_every_result": int(((events == lengths) & (lengths > 0)).sum()),
        "a_session": _summary(events),
        "dwell": _summary(dwell) if len(dwell) else None,
    }


def _positions(inputs: FineTuningInputs) -> list[dict[str, float]]:
    """How often a result was shown at each position, from 1, and how often it had an event there."""
    lengths = np.diff(inputs.offsets)
    relevant = np.repeat(~inputs.is_irrelevant, lengths)
    places = (np.arange(len(inputs.flat_results)) - np.repeat(inputs.offsets[:-1], lengths))[relevant]
    shown = np.bincount(places)[:MOST_POSITIONS]
    picked = np.bincount(places[(inputs.flat_events > 0)[relevant]], minlength=len(shown))[:MOST_POSITIONS]
    return [
        {"position": place, "shown": int(there), "events": int(events), "rate": float(events / there)}
        for place, (there, events) in enumerate(zip(shown, picked, strict=True), start=1)
    ]


def _lengths(inputs: FineTuningInputs) -> dict[str, Any]:
    queries = inputs.coded_queries
    texts = {
        "queries": queries.distinct.column.take(pa.array(queries.used)),
        "items": pc.unique(inputs.items.table.column("text")),
    }
    found: dict[str, Any] = {}
    for side, column in texts.items():
        words, tokens = text_lengths(column)
        found[side] = {"texts": len(column), "words": _summary(words), "tokens": _summary(tokens)}
    return found


def _users(inputs: FineTuningInputs) -> dict[str, Any] | None:
    users = inputs.user_numbers
    if not (users >= 0).any():
        return None
    counts = np.bincount(users[users >= 0])
    return {"all": len(counts), "without": int((users < 0).sum()), "sessions_a_user": _summary(counts)}


def _time(inputs: FineTuningInputs) -> dict[str, Any] | None:
    seconds = inputs.timestamps[~np.isnan(inputs.timestamps)]
    if not len(seconds):
        return None
    first, last = float(seconds.min()), float(seconds.max())
    # Whole days as long as they fit.
    width = _DAY * max(1, int(np.ceil((last - first) / _DAY / _BINS)))
    start = np.floor(first / _DAY) * _DAY
    bins = np.bincount(((seconds - start) // width).astype(np.int64))
    return {
        "from": moment_text(first),
        "to": moment_text(last),
        "without": len(inputs) - len(seconds),
        "out_of_order": int((np.diff(seconds) < 0).sum()),
        "days_a_bin": width / _DAY,
        "sessions": [[moment_text(start + place * width)[:10], int(count)] for place, count in enumerate(bins)],
    }


def _values(inputs: FineTuningInputs, name: str) -> dict[str, Any] | None:
    column = inputs.table.column(name)
    if column.null_count == len(inputs):
        return None
    counted = pc.value_counts(column.drop_null())
    counts = np.asarray(counted.field("counts").to_numpy(), dtype=np.int64)
    top = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    names = counted.field("values").take(pa.array(top)).to_pylist()
    frequent = {value: int(counts[place]) for value, place in zip(names, top, strict=True)}
    return {"values": len(counts), "without": column.null_count, "most_frequent": frequent}


def _summary(values: NDArray[Any]) -> dict[str, Any]:
    """Mean, quantiles and a histogram: `edges` (one more than counts; the last bin takes all above) and `counts`."""
    if not len(values):
        return {"mean": None, "min": None, "median": None, "p95": None, "max": None, "edges": [], "counts": []}
    median, p95, high = np.quantile(values, [0.5, 0.95, 0.995])
    low, top = float(values.min()), float(values.max())
    whole = np.issubdtype(values.dtype, np.integer)
    width = (high - low + whole) / _BINS
    width = float(max(np.ceil(width), 1)) if whole else float(width) or 1.0
    edges = low + width * np.arange(int((high - low) // width) + 2)
    counts = np.bincount(np.minimum(((values - low) // width).astype(np.int64), len(edges) - 2))
    return {
        "mean": float(values.mean()),
        "min": low,
        "median": float(median),
        "p95": float(p95),
        "max": top,
        "edges": [float(edge) for edge in edges],
        "counts": [int(count) for count in counts],
    }
