"""RankingData as the flat arrays and tokens that the training room works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hft.data import FineTuningInputs, RankingData, near_duplicate_clusters, query_keys
from hft.models import Side, TextEmbeddingModel
from hft.stores import StoreFolder
from hft.training import EvaluationArrays, SessionArrays, TokenStore
from hft.training.sessions import FloatArray, IntArray
from hft.training.token_store import Tokens

# Items among which near-duplicates are looked for; of more, only those of the same text count as one. 9,750 texts of
# 75 words take 0.7 s on a CPU core; 20,000 that all hold one same phrase, the worst case, 10 s.
NEAR_DUPLICATE_ITEMS = 20_000
# Share of shingles in common. High: texts of one template ("A tent for camping, to sleep outdoors") that differ in what
# they are about are the very negatives to learn from.
NEAR_DUPLICATE_OVERLAP = 0.8

Confidence = Callable[[FloatArray, IntArray], FloatArray]


@dataclass(frozen=True)
class TokenizedData:
    """The prepared data with every distinct text tokenised once.

    Args:
        data: the prepared data.
        queries: tokens of the distinct queries of all splits.
        items: tokens of the items, by row of the ItemsSet.
        query_row: from a query's text to its row in `queries`.
        query_key: int64[distinct queries], equal for near-duplicates.
    """

    data: RankingData
    queries: TokenStore
    items: TokenStore
    query_row: dict[str, int]
    query_key: IntArray

    @classmethod
    def of(cls, data: RankingData, model: Any, folder: StoreFolder | None = None) -> TokenizedData:
        """Tokenise the data with a model's tokenizer and prompts.

        Args:
            data: the prepared data.
            model: whose towers tokenise.
            folder: where tokens are kept for later runs; None: nowhere.
        """
        texts = sorted({query for inputs in data.splits.values() for query in inputs.queries})
        query_row = {text: row for row, text in enumerate(texts)}
        return cls(
            data=data,
            queries=_tokens(texts, model, "query", folder),
            items=_tokens(data.items.texts, model, "items", folder),
            query_row=query_row,
            query_key=_group(query_keys(texts, data.noise_words)),
        )

    @cached_property
    def item_key(self) -> IntArray:
        """int64[items], equal for items that no negative may tell apart: near-duplicates, or else the same text.

        Near-duplicates are looked for among the items that training or validation shows, where these are no more than
        NEAR_DUPLICATE_ITEMS: all pairs are compared, so the time grows with the square of their number.
        """
        texts = list(self.data.items.texts)
        used = np.unique(np.concatenate([self.data.train.flat_results, self.data.validation.flat_results]))
        if len(used) <= NEAR_DUPLICATE_ITEMS:
            clusters = near_duplicate_clusters([texts[row] for row in used], threshold=NEAR_DUPLICATE_OVERLAP)
            # All of a cluster take the text of its first member.
            first = used[np.unique(clusters, return_index=True)[1]]
            for row, cluster in zip(used.tolist(), clusters.tolist(), strict=True):
                texts[row] = texts[first[cluster]]
        return _group(texts)

    def query_rows(self, inputs: FineTuningInputs) -> IntArray:
        """int64[sessions]: the row of each session's query."""
        return np.array([self.query_row[query] for query in inputs.queries], dtype=np.int64)

    def sessions(self, inputs: FineTuningInputs, confidence: Confidence) -> SessionArrays:
        """A split as the pair planner takes it."""
        rows = self.query_rows(inputs)
        return SessionArrays(
            query_rows=rows,
            query_keys=self.query_key[rows],
            offsets=inputs.offsets,
            item_rows=inputs.flat_results.astype(np.int64),
            item_keys=self.item_key,
            events=inputs.flat_events,
            confidences=confidence(inputs.flat_events, inputs.offsets),
            is_irrelevant=inputs.is_irrelevant,
        )

    def evaluation(self, split: str) -> EvaluationArrays:
        """A split as the evaluator takes it."""
        inputs = self.data.splits[split]
        labels = inputs.labels()
        pool = self.data.pools.get(split) if self.data.candidates == "corpus" else None
        return EvaluationArrays(
            query_rows=self.query_rows(inputs),
            shown_offsets=inputs.offsets,
            shown_rows=inputs.flat_results.astype(np.int64),
            shown_events=inputs.flat_events,
            shown_gains=inputs.shown_gains(),
            is_irrelevant=inputs.is_irrelevant,
            label_offsets=labels.offsets,
            label_rows=labels.rows.astype(np.int64),
            label_gains=labels.grades,
            pool=None if pool is None else pool.astype(np.int64),
        )


def _tokens(texts: Sequence[str], model: Any, side: Side, folder: StoreFolder | None) -> TokenStore:
    def tokenize(batch: Sequence[str]) -> list[Tokens]:
        tokens: list[Tokens] = model.tokenize(batch, side)
        return tokens

    if not isinstance(model, TextEmbeddingModel):  # another one can't say what decides its tokens
        return TokenStore.build(texts, tokenize)
    key, prompt = model.tower(side).tokenizer_key, model.prompt(side)
    return TokenStore.build(texts, tokenize, folder=folder, tokenizer_key=key, prompt=prompt)


def _group(names: list[str]) -> IntArray:
    """int64[names]: equal numbers for equal names."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
