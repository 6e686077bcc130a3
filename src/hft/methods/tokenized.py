"""RankingData as the flat arrays and tokens that the training room works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from hft.data import ClickLog, ClickModel, FineTuningInputs, FittedClicks, RankingData
from hft.models import Side, TextEmbeddingModel
from hft.stores import StoreFolder
from hft.training import EvaluationArrays, SessionArrays, TokenStore
from hft.training.sessions import Confidence, FloatArray, IntArray
from hft.training.token_store import Tokens


@dataclass(frozen=True)
class TokenizedData:
    """The prepared data with every distinct text tokenised once.

    Args:
        data: the prepared data.
        queries: tokens of the distinct queries of all splits, by row of `data.query_texts`.
        items: tokens of the items, by row of the ItemsSet.
    """

    data: RankingData
    queries: TokenStore
    items: TokenStore
    # One fit a click model, as long as the model is there: several parts of a run ask for it.
    _fitted: WeakKeyDictionary[ClickModel, FittedClicks] = field(default_factory=WeakKeyDictionary, repr=False)

    @classmethod
    def of(cls, data: RankingData, model: Any, folder: StoreFolder | None = None) -> TokenizedData:
        """Tokenise the data with a model's tokenizer and prompts.

        Args:
            data: the prepared data.
            model: whose towers tokenise.
            folder: where tokens are kept for later runs; None: nowhere.
        """
        return cls(
            data=data,
            # Lists of their own, which nobody keeps: the texts of many queries and items fill memory.
            queries=_tokens(data.query_texts.column.to_pylist(), model, "query", folder),
            items=_tokens(data.items.table.column("text").to_pylist(), model, "items", folder),
        )

    @cached_property
    def query_key(self) -> IntArray:
        """int64[distinct queries], equal for near-duplicates."""
        return self.data.query_texts.key_numbers(self.data.noise_words)

    @property
    def item_key(self) -> IntArray:
        """int64[items], equal for items that no negative may tell apart; see RankingData."""
        return self.data.item_key

    def query_rows(self, inputs: FineTuningInputs) -> IntArray:
        """int64[sessions]: the row of each session's query."""
        return self.data.query_rows(inputs).astype(np.int64)

    def clicks_of(self, inputs: FineTuningInputs) -> ClickLog:
        """A split as click models take it; near-duplicate queries count as one."""
        return ClickLog.of(inputs, self.query_key.astype(np.int32)[self.data.query_rows(inputs)])

    def fitted(self, clicks: ClickModel) -> FittedClicks:
        """A click model fitted on the training sessions that are not irrelevant, once.

        Raises:
            DataError: they cannot tell its parameters.
        """
        if clicks not in self._fitted:
            train = self.data.train
            relevant = train if not train.is_irrelevant.any() else train.select(~train.is_irrelevant)
            self._fitted[clicks] = clicks.fit(self.clicks_of(relevant))
        return self._fitted[clicks]

    def sessions(self, inputs: FineTuningInputs, confidence: Confidence | ClickModel) -> SessionArrays:
        """A split as the pair planner takes it: views of the data's own columns, which may lie on disk.

        Args:
            inputs: the split.
            confidence: how its clicks are read; a click model is fitted on train first.
        """
        if isinstance(confidence, ClickModel):
            evidence = self.fitted(confidence).evidence(self.clicks_of(inputs))
            arrays = self._sessions(inputs, evidence.confidences)
            return replace(
                arrays,
                weights=evidence.weights,
                believed=evidence.believed,
                may_be_negative=evidence.may_be_negative,
            )
        by_session = getattr(confidence, "each_session_alone", False)
        return self._sessions(inputs, confidence if by_session else confidence(inputs.flat_events, inputs.offsets))

    def _sessions(self, inputs: FineTuningInputs, confidences: Confidence | FloatArray) -> SessionArrays:
        rows = self.data.query_rows(inputs)
        return SessionArrays(
            query_rows=rows,
            query_keys=self.query_key.astype(np.int32)[rows],
            offsets=inputs.offsets,
            item_rows=inputs.flat_results,
            item_keys=self.item_key,
            events=inputs.flat_events,
            confidences=confidences,
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
