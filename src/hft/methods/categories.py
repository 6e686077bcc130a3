"""Queries matched to categories: which category a text is in, learned by embedding both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hft.data import RankingData, SessionSource, Splitter
from hft.data.category_paths import depth, level_numbers
from hft.methods.embeddings import EmbeddingsMethod
from hft.methods.proof import Measured
from hft.methods.tokenized import TokenizedData
from hft.metrics import Report, compared_macro_f1, worst_classes
from hft.settings import FineTuningSettings
from hft.stores import StoreFolder
from hft.training.sessions import IntArray

WORST_CATEGORIES = 10


@dataclass(frozen=True)
class CategoryData(TokenizedData):
    """Tokenised data whose items are categories: two of like texts are two all the same."""

    @property
    def item_key(self) -> IntArray:
        """int64[items]: each category is its own."""
        return np.arange(len(self.data.items), dtype=np.int64)


class CategoriesFineTuningMethod(EmbeddingsMethod):
    """Puts queries into categories: the items are the categories, and a query's own ones were picked.

    A category whose title has levels ("Electronics > Phones > Cases", hft.data.category_paths) is scored at each of
    them. Every evaluation of a corpus ranks all categories: unlike items of a search they are known beforehand.
    """

    def prepare(self, source: SessionSource, splitter: Splitter, **options: Any) -> RankingData:
        """Reads a source and splits it; options as in hft.data.prepare_ranking_data."""
        data = super().prepare(source, splitter, **options)
        if data.candidates == "shown" or options.get("limit_items") is not None:
            return data
        everything = np.arange(len(data.items), dtype=np.int32)
        return replace(data, pools=dict.fromkeys(data.pools, everything))

    def tokenize(self, model: Any, data: RankingData, folder: StoreFolder | None = None) -> CategoryData:
        """Every distinct text of the data as the model's tokens, once; with a folder once for all runs."""
        return CategoryData.of(data, model, folder)

    def evaluate(
        self,
        start: Measured | None,
        tuned: Measured | None,
        data: TokenizedData,
        settings: FineTuningSettings,
        **options: Any,
    ) -> Report:
        """See EmbeddingsMethod; with macro-F1, the scores by level and the worst categories on the test split."""
        report = super().evaluate(start, tuned, data, settings, **options)
        if start is None:
            return report
        return replace(report, categories=category_scores(start, tuned, data.data, seed=options.get("seed") or 0))


class CategoriesTextFineTuningMethod(CategoriesFineTuningMethod):
    """Categories told by a text: a name, a path, a description."""


def category_scores(start: Measured, tuned: Measured | None, data: RankingData, *, seed: int) -> dict[str, Any]:
    """Macro-F1 by level and the worst categories, on the test split, as plain values.

    A query is taken for the category that is ranked first. One of several categories is right where it is one of them,
    and counts for that one; else it counts for the first of its own.

    Args:
        start, tuned: results on test; None for `tuned`: there is no such model.
        data: of the run.
        seed: of the intervals.

    Returns:
        macro_f1 (as hft.metrics.compared_macro_f1), levels (of a hierarchy: the same and the accuracy of each), worst
        (the tuned model's, or else the only one's; as ClassScores), queries, without_query (categories that test does
        not ask for).
    """
    titles = [title or text for title, text in zip(data.items.titles, data.items.texts, strict=True)]
    measured = [start] if tuned is None else [start, tuned]
    answers = [_answers(part.evaluation.top_rows, data) for part in measured]
    names, numbers = level_numbers(titles, depth(titles))
    true, predicted = answers[-1]
    worst = worst_classes(numbers[true], numbers[predicted], names, count=WORST_CATEGORIES)
    levels = [
        {"level": level, **_level(answers, titles, level, seed)}
        for level in range(1, depth(titles) + 1)
        if depth(titles) > 1
    ]
    return {
        "macro_f1": _level(answers, titles, depth(titles), seed)["macro_f1"],
        "levels": levels,
        "worst": [scores.to_dict() for scores in worst],
        "queries": len(true),
        "without_query": len(names) - len(np.unique(numbers[true])),
    }


def _level(answers: list[tuple[IntArray, IntArray]], titles: list[str], level: int, seed: int) -> dict[str, Any]:
    names, numbers = level_numbers(titles, level)
    pairs = [(numbers[true], numbers[predicted]) for true, predicted in answers]
    second = pairs[1] if len(pairs) > 1 else (None, None)
    scores = compared_macro_f1((pairs[0][0], second[0]), (pairs[0][1], second[1]), len(names), seed=seed)
    accuracy = [float((true == predicted).mean()) for true, predicted in pairs]
    return {
        "categories": len(names),
        "macro_f1": scores,
        "accuracy": {"start": accuracy[0], "tuned": accuracy[1] if len(accuracy) > 1 else None},
    }


def _answers(top_rows: IntArray, data: RankingData) -> tuple[IntArray, IntArray]:
    """(int64[queries] true, int64[queries] predicted): rows of the items, of the sessions with a relevant one."""
    labels = data.test.labels()
    relevant = labels.grades > 0
    owners = np.repeat(np.arange(len(data.test)), np.diff(labels.offsets))[relevant]
    rows = labels.rows[relevant].astype(np.int64)
    known, first = np.unique(owners, return_index=True)
    predicted = top_rows[known, 0]
    true = rows[first]
    stride = np.int64(len(data.items))
    is_right = np.isin(known * stride + predicted, owners * stride + rows)
    return np.where(is_right, predicted, true), predicted
