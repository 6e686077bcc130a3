"""Title overlap: how many words the query shares with the item's title."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hft.metrics.baselines.words import words
from hft.metrics.ranked_lists import query_of_results, top_rows

Ints = npt.NDArray[np.integer]
Scores = npt.NDArray[np.float64]

# Queries whose scores over all items are held at once.
_CHUNK_QUERIES = 64


class TitleOverlapBaseline:
    """Shared words over the geometric mean of both word counts (the cosine of the two word sets).

    An item without a title scores 0.

    Source: Ochiai's coefficient, 1957.

    Args:
        titles: title of each item, by row; None where it has none.
        seed: of the draw among equal scores of a corpus.
    """

    name: ClassVar[str] = "title_overlap"

    def __init__(self, titles: Sequence[str | None], seed: int = 0) -> None:
        self._titles = [frozenset(words(title)) for title in titles]
        self._seed = seed

    def shown(self, queries: Sequence[str], results: Ints, offsets: Ints) -> Scores:
        """float64[results]: see Baseline."""
        query_words = [frozenset(words(query)) for query in queries]
        query_of = query_of_results(np.asarray(offsets, dtype=np.int64))
        pairs = zip(query_of.tolist(), results.tolist(), strict=True)
        return np.array([_overlap(query_words[query], self._titles[row]) for query, row in pairs], dtype=np.float64)

    def corpus(self, queries: Sequence[str], pool: Ints, depth: int) -> npt.NDArray[np.int64]:
        """int64[queries, min(depth, pool)]: see Baseline."""
        columns_of: dict[str, list[int]] = defaultdict(list)
        for column, row in enumerate(pool.tolist()):
            for word in self._titles[row]:
                columns_of[word].append(column)
        sizes = np.sqrt([max(1, len(self._titles[row])) for row in pool.tolist()])
        best = []
        for begin in range(0, len(queries), _CHUNK_QUERIES):
            chunk = queries[begin : begin + _CHUNK_QUERIES]
            scores = np.stack([_corpus_scores(query, columns_of, sizes) for query in chunk])
            best.append(top_rows(scores, depth, rows=pool, seed=self._seed + begin))
        return np.concatenate(best) if best else np.empty((0, min(depth, len(pool))), dtype=np.int64)


def _overlap(query: frozenset[str], title: frozenset[str]) -> float:
    shared = len(query & title)
    return shared / float(np.sqrt(len(query) * len(title))) if shared else 0.0


def _corpus_scores(query: str, columns_of: dict[str, list[int]], sizes: Scores) -> Scores:
    """float64[pool]: shared words over the root of the title's count; the query's own is the same for all."""
    scores = np.zeros(len(sizes))
    for word in frozenset(words(query)):
        # A title is a set, so a column comes once a word.
        scores[columns_of.get(word, [])] += 1.0
    return scores / sizes
