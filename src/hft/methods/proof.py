"""The proof of a run: the starting and the tuned model over the same test queries, beside honest baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hft.data import seen_in_training
from hft.errors import ConfigError
from hft.methods.clicks import estimates_from_clicks
from hft.methods.tokenized import TokenizedData
from hft.metrics import (
    Comparison,
    DistShift,
    QueryExample,
    RankedLists,
    RankedResult,
    Report,
    compare,
    learning_verdict,
    level_of_curve,
    rank_lists,
    rank_matrix,
    ranking_depth,
)
from hft.metrics.baselines import (
    Baseline,
    Bm25Baseline,
    ItemPopularityBaseline,
    RandomBaseline,
    TitleOverlapBaseline,
    expected_at_random,
)
from hft.metrics.learning import Direction
from hft.settings import FineTuningSettings
from hft.training import Evaluation
from hft.training.evaluation import EvaluationArrays

Values = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# Queries in the report's examples: half of them those with the largest gain.
NUM_EXAMPLES = 6
EXAMPLE_DEPTH = 5
# A slice with fewer queries than this says nothing.
SMALLEST_SLICE = 10


@dataclass(frozen=True)
class Measured:
    """A model's results on the test split, a value a distinct query.

    Args:
        evaluation: a value a session, and the rankings.
        sessions: int64[sessions], the distinct query of each session, counted from 0.
        precision: in which the vectors were computed, Lightning's word.
    """

    evaluation: Evaluation
    sessions: npt.NDArray[np.int64]
    precision: str = ""

    def values(self, metric: str) -> Values:
        """float64[distinct queries]: mean over the query's sessions; NaN where none has a value."""
        return mean_by_query(self.evaluation.values[metric], self.sessions)

    def part(self, kept: Bools) -> Measured:
        """The results of some sessions (bool[sessions]) only, their queries counted anew from 0."""
        values = {name: of_sessions[kept] for name, of_sessions in self.evaluation.values.items()}
        sessions = np.unique(self.sessions[kept], return_inverse=True)[1].astype(np.int64)
        evaluation = replace(self.evaluation, values=values, top_rows=self.evaluation.top_rows[kept])
        return Measured(evaluation, sessions, self.precision)


@dataclass(frozen=True)
class Validated:
    """Results on validation.

    Args:
        start: of the starting model.
        best: of the weights that were kept.
        last: float64[distinct queries], the main metric of the last weights; None: not known.
    """

    start: Measured
    best: Measured
    last: Values | None

    def compared(self, metrics: list[str], seed: int) -> dict[str, Comparison]:
        """By metric, without a p: the kept weights were chosen by this very split, a test on it would prove nothing."""
        compared = _compared(self.start, self.best, metrics, seed)
        return {name: replace(comparison, p=None) for name, comparison in compared.items()}


def mean_by_query(values: Values, sessions: npt.NDArray[np.int64]) -> Values:
    """float64[distinct queries] from float64[sessions]. Sessions of one query are no independent evidence."""
    known = ~np.isnan(values)
    size = int(sessions.max(initial=-1)) + 1
    totals = np.bincount(sessions[known], weights=values[known], minlength=size)
    counts = np.bincount(sessions[known], minlength=size)
    means: Values = np.divide(totals, counts, out=np.full(size, np.nan), where=counts > 0)
    return means


def distinct_queries(arrays: EvaluationArrays) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(int64[distinct queries] rows of the query texts, int64[sessions] which of them each session asks)."""
    rows, sessions = np.unique(arrays.query_rows, return_inverse=True)
    return rows, sessions.astype(np.int64)


def build_report(
    start: Measured,
    tuned: Measured | None,
    data: TokenizedData,
    settings: FineTuningSettings,
    *,
    main_metric: str,
    direction: Direction,
    seed: int,
    validation: Validated | None = None,
    curves: Mapping[str, list[tuple[int, float]]] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Report:
    """Compares the starting and the tuned model on the test split.

    Args:
        start: the starting model's results.
        tuned: the tuned model's; None describes the starting model alone.
        data: the tokenised data.
        settings: the metrics.
        main_metric, direction: of the method.
        seed: of bootstrap, randomisation test and baselines.
        validation: results on validation.
        curves: (step, value) by logged name.
        seconds: wall time by stage.

    Raises:
        ConfigError: the main metric is none of the ranking metrics.
    """
    ranking = _ranking_names(settings, main_metric)
    shifts = {}
    if tuned is not None:
        moved = {m.name: tuned.values(m.name) for m in settings.metric_calculators if isinstance(m, DistShift)}
        shifts = {name: float(np.nanmean(values)) for name, values in moved.items() if not np.isnan(values).all()}
    compared = _compared(start, tuned, ranking, seed)
    of_baselines, baseline_notes = _baselines(data, settings, start.sessions, seed)
    judged = (start if tuned is None else tuned).values(main_metric)
    slices, small = _slices(start, tuned, data, ranking, main_metric, seed)
    of_tuned = None if tuned is None else tuned.evaluation.shown_ranks
    depth = next((metric.k for metric in _ranking_metrics(settings) if metric.name == main_metric), None)
    clicks, click_notes = estimates_from_clicks(
        data, settings, start.sessions, start.evaluation.shown_ranks, of_tuned, depth=depth, seed=seed
    )
    return Report(
        main_metric=main_metric,
        direction=direction,
        candidates=data.data.candidates,
        precision=start.precision,
        test=compared,
        validation={} if validation is None else validation.compared(ranking, seed),
        baselines={
            name: {metric: float(np.nanmean(of)) for metric, of in values.items()}
            for name, values in of_baselines.items()
        },
        baseline_leads={name: compare(values[main_metric], judged, seed=seed) for name, values in of_baselines.items()},
        baseline_notes=baseline_notes,
        slices=slices,
        small_slices=small,
        leakage={split: dict(counts) for split, counts in data.data.report.leakage.items()},
        shifts=shifts,
        clicks=clicks,
        click_notes=click_notes,
        examples=_examples(start, tuned, data, main_metric, direction),
        curves=dict(curves or {}),
        verdict=_verdict(curves, validation, main_metric, direction, seed),
        counts=_counts(data, compared[main_metric]),
        seconds=dict(seconds or {}),
        warnings=data.data.report.warnings,
    )


def validation_report(
    validation: Validated,
    data: TokenizedData,
    settings: FineTuningSettings,
    *,
    main_metric: str,
    direction: Direction,
    seed: int,
    curves: Mapping[str, list[tuple[int, float]]] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Report:
    """Compares the starting and the kept weights on validation alone, for a trial of a search. Test is not read.

    It holds the main metric only: intervals are drawn, and a search makes many trials.

    Args: as of `build_report`.
    """
    _ranking_names(settings, main_metric)
    compared = validation.compared([main_metric], seed)
    return Report(
        main_metric=main_metric,
        direction=direction,
        candidates=data.data.candidates,
        precision=validation.start.precision,
        test={},
        validation=compared,
        curves=dict(curves or {}),
        verdict=_verdict(curves, validation, main_metric, direction, seed),
        counts={"items": len(data.data.items), "validation_queries": compared[main_metric].queries},
        seconds=dict(seconds or {}),
    )


def _ranking_names(settings: FineTuningSettings, main_metric: str) -> list[str]:
    names = [metric.name for metric in _ranking_metrics(settings)]
    if main_metric not in names:
        raise ConfigError(
            f"method.main_metric={main_metric} is no ranking metric of this run. Measured: "
            f"{', '.join(names) or 'none'}. Choose one of them, or add it under metrics.calculators."
        )
    return names


def _ranking_metrics(settings: FineTuningSettings) -> list[Any]:
    return [metric for metric in settings.metric_calculators if not isinstance(metric, DistShift)]


def _verdict(
    curves: Mapping[str, list[tuple[int, float]]] | None,
    validation: Validated | None,
    main_metric: str,
    direction: Direction,
    seed: int,
) -> str:
    if not curves:
        return ""
    if validation is None:
        return learning_verdict(curves, main_metric, direction)
    level = level_of_curve(len(curves.get(f"validation_{main_metric}", ())) - 1)
    best = validation.best.values(main_metric)
    gain = compare(validation.start.values(main_metric), best, seed=seed, level=level)
    fall = None if validation.last is None else compare(best, validation.last, seed=seed, level=level)
    return learning_verdict(curves, main_metric, direction, gain=gain, fall=fall)


def _compared(start: Measured, tuned: Measured | None, metrics: list[str], seed: int) -> dict[str, Comparison]:
    return {
        name: compare(start.values(name), None if tuned is None else tuned.values(name), seed=seed) for name in metrics
    }


def _baselines(
    data: TokenizedData, settings: FineTuningSettings, sessions: npt.NDArray[np.int64], seed: int
) -> tuple[dict[str, dict[str, Values]], tuple[str, ...]]:
    """By baseline, by metric, float64[distinct queries]; and lines on how they were made."""
    items, train, arrays = data.data.items, data.data.train, data.evaluation("test")
    rankings: list[Baseline] = []
    notes = []
    if data.has_item_texts:
        bm25 = Bm25Baseline(items.texts, seed, settings.bm25_language)
        rankings.append(bm25)
        notes.append(bm25.note)
    if data.data.candidates == "shown":
        if any(items.titles) and data.has_item_texts:
            rankings.append(TitleOverlapBaseline(items.titles, seed))
        popularity = ItemPopularityBaseline(len(items), train.flat_results, train.flat_events, seed)
        if popularity.tells_apart:
            rankings.append(popularity)
    metrics = _ranking_metrics(settings)

    def ranked(baseline: Baseline, seed: int) -> RankedLists:
        return _ranked_by(baseline, data.data.test.queries, arrays, ranking_depth(metrics), seed)

    values: dict[str, dict[str, Values]] = {}
    for baseline in rankings:
        lists = ranked(baseline, seed)
        values[baseline.name] = {metric.name: metric(lists) for metric in metrics}
    pool = None if arrays.pool is None else np.full(len(arrays), len(arrays.pool))
    candidates = np.diff(arrays.shown_offsets) if pool is None else pool
    at_random = {
        metric.name: expected_at_random(metric, lambda drawn: ranked(RandomBaseline(drawn), drawn), candidates, seed)
        for metric in metrics
    }
    values[RandomBaseline.name] = {name: expected for name, (expected, _) in at_random.items()}
    drawn = [f"; {name}: mean of {draws:,} orders a query" for name, (_, draws) in at_random.items() if draws]
    notes.append("random: the expectation over all orders" + "".join(drawn))
    by_query = {
        baseline: {name: mean_by_query(of_sessions, sessions) for name, of_sessions in found.items()}
        for baseline, found in values.items()
    }
    return by_query, tuple(notes)


def _ranked_by(baseline: Baseline, queries: list[str], arrays: EvaluationArrays, depth: int, seed: int) -> RankedLists:
    if arrays.pool is None:
        scores = baseline.shown(queries, arrays.shown_rows, arrays.shown_offsets)
        return rank_lists(scores, arrays.shown_gains, arrays.shown_offsets, seed=seed)
    top = baseline.corpus(queries, arrays.pool, depth)
    return rank_matrix(top, arrays.label_offsets, arrays.label_rows, arrays.label_gains, pool=arrays.pool)


def _slices(
    start: Measured, tuned: Measured | None, data: TokenizedData, metrics: list[str], main_metric: str, seed: int
) -> tuple[dict[str, dict[str, Comparison]], dict[str, int]]:
    """By whether the query, the relevant items and the user were seen in training.

    A session is in a slice, and a query is worth the mean of its sessions there. A slice that holds everything is left
    out, and so is one that holds nothing.

    Returns:
        (the slices, how many queries those have of which there are too few to compare).
    """
    seen = seen_in_training(data.data.train, data.data.test, data.data.noise_words)
    masks = {
        "query seen in training": seen.query_seen,
        "query not seen in training": ~seen.query_seen,
        "items seen in training": seen.items_seen,
        "items not seen in training": ~seen.items_seen,
        "neither query nor items seen": ~seen.query_seen & ~seen.items_seen,
    }
    if seen.user_seen is not None:
        masks |= {"user seen in training": seen.user_seen, "user not seen in training": ~seen.user_seen}
    measurable = ~np.isnan(start.evaluation.values[main_metric])
    found: dict[str, dict[str, Comparison]] = {}
    small: dict[str, int] = {}
    for name, mask in masks.items():
        counted = mask & measurable
        queries = len(np.unique(start.sessions[counted]))
        if not queries or counted.sum() == measurable.sum():
            continue
        if queries < SMALLEST_SLICE:
            small[name] = queries
            continue
        part = start.part(counted), None if tuned is None else tuned.part(counted)
        found[name] = _compared(*part, metrics, seed)
    return found, small


def _examples(
    start: Measured, tuned: Measured | None, data: TokenizedData, main_metric: str, direction: Direction
) -> tuple[QueryExample, ...]:
    """Queries with the largest gain first, then the largest loss, then the median one; a session of each."""
    before = start.evaluation.values[main_metric]
    after = before if tuned is None else tuned.evaluation.values[main_metric]
    sign = 1.0 if direction == "maximize" else -1.0
    known = np.flatnonzero(~np.isnan(before) & ~np.isnan(after))
    known = known[np.sort(np.unique(start.sessions[known], return_index=True)[1])]
    order = known[np.argsort(-sign * (after - before)[known], kind="stable")]
    half = NUM_EXAMPLES // 2
    middle = len(order) // 2
    chosen = dict.fromkeys([*order[:half], *order[::-1][: half - 1], *order[middle : middle + 1]])
    return tuple(_example(int(row), start, tuned, data, main_metric) for row in chosen)


def _example(row: int, start: Measured, tuned: Measured | None, data: TokenizedData, main_metric: str) -> QueryExample:
    labels = data.data.test.labels()
    span = slice(labels.offsets[row], labels.offsets[row + 1])
    gains = dict(zip(labels.rows[span].tolist(), labels.grades[span].tolist(), strict=True))
    items = data.data.items

    def top(measured: Measured) -> tuple[RankedResult, ...]:
        rows = [int(item) for item in measured.evaluation.top_rows[row][:EXAMPLE_DEPTH] if item >= 0]
        return tuple(RankedResult(items.titles[item] or items.texts[item], gains.get(item, 0.0)) for item in rows)

    return QueryExample(
        query=data.data.test.queries[row],
        start=float(start.evaluation.values[main_metric][row]),
        tuned=None if tuned is None else float(tuned.evaluation.values[main_metric][row]),
        before=top(start),
        after=() if tuned is None else top(tuned),
    )


def _counts(data: TokenizedData, main: Comparison) -> dict[str, int]:
    counts = {f"{name}_sessions": len(inputs) for name, inputs in data.data.splits.items()}
    return {"items": len(data.data.items), **counts, "test_queries": main.queries}
