"""Vectors of texts from their words alone, in seconds: what an adapter can be trained on where no model is quick.

Not a benchmark itself. Latent semantic analysis (Deerwester et al. 1990, "Indexing by latent semantic analysis"): the
words of a text weighed by their inverse document frequency, on the first singular vectors of the items.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

WIDTH = 128
_WORDS = 40  # of a text, from its beginning
_WORD = re.compile(r"\w+")


def word_vectors(queries: Sequence[str], items: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """FloatTensor[queries, WIDTH] and FloatTensor[items, WIDTH], of length 1 or, of a text without known words, 0."""
    words_of = [set(_WORD.findall(text.lower())[:_WORDS]) for text in items]
    counts = Counter(word for words in words_of for word in words)
    known = {word: column for column, word in enumerate(sorted(word for word, count in counts.items() if count > 1))}
    rarity = np.array([np.log(len(items) / counts[word]) for word in known])
    of_items = _weighed(words_of, known, rarity)
    start = np.ones(min(of_items.shape))
    _, _, directions = svds(of_items, k=WIDTH, v0=start)
    of_queries = _weighed([set(_WORD.findall(text.lower())) for text in queries], known, rarity)
    found = (torch.from_numpy((part @ directions.T).astype(np.float32)) for part in (of_queries, of_items))
    first, second = (torch.nn.functional.normalize(part, dim=1) for part in found)
    return first, second


def _weighed(texts: Sequence[set[str]], known: dict[str, int], rarity: np.ndarray) -> csr_array:
    """Texts by words, each row of length 1."""
    rows = [sorted(known[word] for word in words if word in known) for words in texts]
    columns = np.array([column for row in rows for column in row], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    owners = np.repeat(np.arange(len(rows)), np.diff(offsets))
    values = rarity[columns]
    lengths = np.sqrt(np.bincount(owners, values**2, minlength=len(rows)))
    return csr_array((values / lengths[owners], columns, offsets), shape=(len(rows), len(known)))
