"""BM25: the baseline that keeps embedding models honest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hft.metrics.baselines.language import Analyser, analyser, detected_language
from hft.metrics.ranked_lists import top_rows

Ints = npt.NDArray[np.integer]
Scores = npt.NDArray[np.float64]

# Queries whose scores over all items are held at once: 43,000 items take 22 MB.
_CHUNK_QUERIES = 64


class Bm25Baseline:
    """Okapi BM25 over the texts of the items, with bm25s' defaults (Lucene's variant, k1 = 1.5, b = 0.75).

    Words are stemmed and stop words go, by the language of the texts. The statistics come from the items that are
    ranked: all of them for shown lists, the pool for a corpus.

    Source: Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009.

    Args:
        texts: text of each item, by row.
        seed: of the draw among equal scores of a corpus.
        language: as in FineTuningSettings; `auto`: as `detected_language` finds.

    Attributes:
        language: that is used, never `auto`.
    """

    name: ClassVar[str] = "bm25"

    def __init__(self, texts: Sequence[str], seed: int = 0, language: str = "auto") -> None:
        self._texts = texts
        self._seed = seed
        self.language = detected_language(texts) if language == "auto" else language

    @property
    def note(self) -> str:
        """How its words were made."""
        how = "words as they are" if self.language == "none" else f"words stemmed as {self.language.capitalize()}"
        return f"bm25: {how} (metrics.bm25_language)"

    def shown(self, queries: Sequence[str], results: Ints, offsets: Ints) -> Scores:
        """float64[results]: see Baseline."""
        # Only what is shown somewhere has to be scored, but every item counts in the statistics.
        index = _Index(self._texts, analyser(self.language))
        scores = np.zeros(len(results))
        for query, begin, end in zip(queries, offsets[:-1], offsets[1:], strict=True):
            scores[begin:end] = index.scores(query)[results[begin:end]]
        return scores

    def corpus(self, queries: Sequence[str], pool: Ints, depth: int) -> npt.NDArray[np.int64]:
        """int64[queries, min(depth, pool)]: see Baseline."""
        index = _Index([self._texts[row] for row in pool], analyser(self.language))
        best = [
            top_rows(
                np.stack([index.scores(query) for query in queries[begin : begin + _CHUNK_QUERIES]]),
                depth,
                rows=pool,
                seed=self._seed + begin,
            )
            for begin in range(0, len(queries), _CHUNK_QUERIES)
        ]
        return np.concatenate(best) if best else np.empty((0, min(depth, len(pool))), dtype=np.int64)


class _Index:
    """A bm25s index in memory, quiet."""

    def __init__(self, texts: Sequence[str], words: Analyser) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._num_items = len(texts)
        self._words = words
        tokens = [words(text) for text in texts]
        # bm25s cannot index a corpus without a single word; nothing matches it anyway.
        self._retriever: Any = None
        if any(tokens):
            self._retriever = bm25s.BM25()
            self._retriever.index(tokens, show_progress=False)

    def scores(self, query: str) -> Scores:
        """float64[items]"""
        tokens = self._words(query)
        if self._retriever is None or not tokens:
            return np.zeros(self._num_items)
        return np.asarray(self._retriever.get_scores(tokens), dtype=np.float64)
