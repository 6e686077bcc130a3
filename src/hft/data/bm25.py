"""BM25 as sparse matrices: the simulator's ranker. Scores every item for many queries at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from hft.data.near_duplicates import STOP_WORDS, stem

# Why this stands beside hft.metrics.baselines.bm25: the simulator scores every training query against every item, and
# needs sparse products for that and no package more; the baseline is judged against, so it is a known implementation.
if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_CHUNK_SCORES = 16_000_000  # scores held at a time (64 MB as float32)


class BM25:
    """Okapi BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond").

    score(q, d) = sum over the words w of q of idf(w) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * |d| / mean
    |d|)), with idf(w) = ln(1 + (N - df + 0.5) / (df + 0.5)). Words are case-folded, plural endings and stop
    words go.

    Args:
        texts: the items.
        k1: how slowly repeated words saturate.
        b: how much long items are held back, 0..1.
    """

    def __init__(self, texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> None:
        self._words: dict[str, int] = {}
        self._stems: dict[str, str] = {}
        rows, columns = self._tokens(texts, grow=True)
        shape = (len(texts), max(len(self._words), 1))
        counts = csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
        counts.sum_duplicates()
        lengths = np.bincount(rows, minlength=len(texts)).astype(np.float32)
        frequency = np.bincount(counts.indices, minlength=shape[1])
        idf = np.log1p((len(texts) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        norm = k1 * (1.0 - b + b * lengths / max(float(lengths.mean()) if len(lengths) else 1.0, 1e-9))
        tf = counts.data
        owner = np.repeat(np.arange(len(texts)), np.diff(counts.indptr))
        counts.data = (idf[counts.indices] * tf * (k1 + 1.0) / (tf + norm[owner])).astype(np.float32)
        self._weights = counts

    def _tokens(self, texts: Sequence[str], *, grow: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows: list[int] = []
        columns: list[int] = []
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.casefold()):
                if word in STOP_WORDS:
                    continue
                stemmed = self._stems.get(word)
                if stemmed is None:
                    stemmed = self._stems[word] = stem(word)
                column = self._words.get(stemmed)
                if column is None:
                    if not grow:
                        continue
                    column = self._words[stemmed] = len(self._words)
                rows.append(row)
                columns.append(column)
        return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)

    def scores(self, queries: Sequence[str], allowed: NDArray[np.int32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Scores by chunks of queries: (which queries, `float32[queries of the chunk, allowed]`).

        Args:
            queries: any number of texts.
            allowed: `int32[allowed]` rows of the items to score.
        """
        rows, columns = self._tokens(queries, grow=False)
        shape = (len(queries), self._weights.shape[1])
        asked = csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
        asked.sum_duplicates()
        asked.data[:] = 1.0
        weights = self._weights[allowed].T.tocsr()
        size = max(1, _CHUNK_SCORES // max(len(allowed), 1))
        for start in range(0, len(queries), size):
            chunk = slice(start, min(start + size, len(queries)))
            yield chunk, (asked[chunk] @ weights).toarray()
