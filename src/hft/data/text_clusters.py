"""Near-duplicate texts, found exactly and deterministically by the overlap of their shingles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_CHUNK_TEXTS = 512


def near_duplicate_clusters(
    texts: Sequence[str], *, shingle_words: int = 3, threshold: float = 0.5
) -> NDArray[np.int64]:
    """`int64[texts]`: the cluster of each text; texts whose shingle sets overlap enough share one,
    transitively.

    A shingle is so many consecutive words, case-folded; overlap is Jaccard's: shared over distinct shingles
    (Broder 1997, "On the resemblance and containment of documents"). Computed for all pairs, not estimated.

    Args:
        texts: any number of texts; one shorter than a shingle counts as a single shingle.
        shingle_words: words a shingle.
        threshold: overlap from which two texts are near-duplicates, above 0.
    """
    shingles = _shingle_matrix(texts, shingle_words)
    sizes = np.diff(shingles.indptr)
    transposed = shingles.T.tocsr()
    firsts, seconds = [], []
    for start in range(0, len(texts), _CHUNK_TEXTS):
        shared = coo_array(shingles[start : start + _CHUNK_TEXTS] @ transposed)
        rows, columns = shared.row + start, shared.col
        near = shared.data >= threshold * (sizes[rows] + sizes[columns] - shared.data)
        firsts.append(rows[near])
        seconds.append(columns[near])
    first, second = np.concatenate([*firsts, []]), np.concatenate([*seconds, []])
    pairs = csr_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(len(texts),) * 2)
    return np.asarray(connected_components(pairs, directed=False)[1], dtype=np.int64)


def first_of_each(labels: Sequence[object] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the first member of each cluster, in order."""
    seen: set[object] = set()
    rows = []
    for row, label in enumerate(np.asarray(labels).tolist()):
        if label not in seen:
            seen.add(label)
            rows.append(row)
    return np.array(rows, dtype=np.int64)


def _shingle_matrix(texts: Sequence[str], shingle_words: int) -> csr_array:
    numbers: dict[tuple[str, ...], int] = {}
    indices: list[int] = []
    indptr = [0]
    for text in texts:
        words = _WORD.findall(text.casefold())
        count = max(len(words) - shingle_words + 1, 1)
        found = {tuple(words[start : start + shingle_words]) for start in range(count)}
        indices += sorted(numbers.setdefault(shingle, len(numbers)) for shingle in found)
        indptr.append(len(indices))
    data = np.ones(len(indices), dtype=np.int32)
    return csr_array((data, np.array(indices), np.array(indptr)), shape=(len(texts), max(len(numbers), 1)))
