"""RankingData as the flat arrays and tokens that the training room works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa

from hft.data import ClickModel, FineTuningInputs, FittedClicks, RankingData
from hft.data.parts import Parts
from hft.methods.read_clicks import ReadableClicks
from hft.models import Side, TextEmbeddingModel
from hft.settings import SettingsScalars
from hft.stores import StoreFolder
from hft.training import AugmentedTexts, EvaluationArrays, ItemParts, SessionArrays, TokenStore
from hft.training.activations import TextUse
from hft.training.sessions import Confidence, FloatArray, IntArray
from hft.training.token_store import Tokens

# Of an augmentation that changes what is measured, too: it is the same at every look, for runs to be compared.
_SEED_OF_TESTS, _EPOCH_OF_TESTS = 0, 0
# As many tokens as nobody takes, of a model that does not say how many it does.
_ANY_NUMBER = 1 << 31


@dataclass(frozen=True)
class TokenizedData:
    """The prepared data with every distinct text tokenised once.

    Args:
        data: the prepared data.
        queries: tokens of the distinct queries of all splits, by row of `data.query_texts`.
        items: tokens of the items, by row of the ItemsSet; or of their parts, by row of `parts`.
        parts: the parts of the items; None: each is one text.
        augmented: tokens of the queries and of the items as validation and test see them, where they see other ones.
    """

    data: RankingData
    queries: TokenStore
    items: TokenStore
    parts: Parts | None = None
    augmented: tuple[TokenStore, TokenStore] | None = None
    # One fit a click model, as long as the model is there: several parts of a run ask for it.
    _fitted: WeakKeyDictionary[ClickModel, FittedClicks] = field(default_factory=WeakKeyDictionary, repr=False)

    # Whether an item's text says what it is, so that baselines may go by it.
    has_item_texts: ClassVar[bool] = True

    @classmethod
    def of(cls, data: RankingData, model: Any, folder: StoreFolder | None = None) -> Self:
        """Tokenise the data with a model's tokenizer and prompts.

        Args:
            data: the prepared data.
            model: whose towers tokenise.
            folder: where tokens are kept for later runs; None: nowhere.
        """
        parts = None if data.item_splitter is None else _parts(data, model)
        found = cls(
            data=data,
            # Lists of their own, which nobody keeps: the texts of many queries and items fill memory.
            queries=_tokens(data.query_texts.column.to_pylist(), model, "query", folder),
            items=_tokens(_item_column(data, parts).to_pylist(), model, "items", folder),
            parts=parts,
        )
        if data.augmentation is None or not data.augmentation.do_augment_test:
            return found
        sides: tuple[Side, Side] = ("query", "items")
        others = [_tokens(found.measured_variants(side), model, side, folder) for side in sides]
        return cls(data, found.queries, found.items, parts, (others[0], others[1]))

    def measured_variants(self, side: Side) -> list[str]:
        """The texts of a side as validation and test see them under `do_augment_test`: the same for every seed."""
        augmentation = self.data.augmentation
        assert augmentation is not None
        texts = self.texts(side).to_pylist()
        return [augmentation.variant(text, side, _SEED_OF_TESTS, _EPOCH_OF_TESTS) for text in texts]

    def texts(self, side: Side) -> pa.Array | pa.ChunkedArray:
        """string[texts] of a side, by row of its tokens."""
        return self.data.query_texts.column if side == "query" else _item_column(self.data, self.parts)

    @property
    def notes(self) -> list[str]:
        """What to tell people of the texts."""
        return [] if self.parts is None else self.parts.lines()

    @property
    def evaluated_queries(self) -> TokenStore:
        """Tokens of the queries as validation and test see them."""
        return self.queries if self.augmented is None else self.augmented[0]

    @property
    def evaluated_items(self) -> TokenStore:
        """Tokens of the items, or of their parts, as validation and test see them."""
        return self.items if self.augmented is None else self.augmented[1]

    def in_training(self, side: Side, model: Any, seed: int) -> TokenStore | AugmentedTexts:
        """Tokens of a side as training sees them.

        Args:
            side: of the texts.
            model: that tokenises variants.
            seed: of the run.
        """
        store = self.queries if side == "query" else self.items
        augmentation = self.data.augmentation
        if augmentation is None or not augmentation.changes(side):
            return store
        column = self.texts(side)
        return AugmentedTexts(
            store,
            lambda rows: column.take(pa.array(rows)).to_pylist(),
            lambda text, epoch: augmentation.variant(text, side, seed, epoch),
            partial(_tokenize, model, side),
            model.prompt(side) if isinstance(model, TextEmbeddingModel) else "",
        )

    def item_parts(self, settings: SettingsScalars) -> ItemParts | None:
        """Which texts are the parts of which item, and how their ranks make its rank; None: each item is one text."""
        if self.parts is None:
            return None
        return ItemParts(self.parts.offsets, settings.part_ranks, settings.part_temperature)

    def item_texts(self, items: IntArray) -> IntArray:
        """Rows among the texts of items, as often as they are given."""
        return items if self.parts is None else ItemParts(self.parts.offsets).rows(items)

    def text_uses(self, side: Side, trained: IntArray, evaluated: Sequence[IntArray]) -> list[TextUse]:
        """The texts of a side that a run embeds and that are known before it begins.

        Args:
            side: of the texts.
            trained: int64[visits], rows of an epoch.
            evaluated: int64[texts] each, rows of a validation and of a look at test.
        """
        store, other = (self.queries, self.evaluated_queries) if side == "query" else (self.items, self.evaluated_items)
        augmentation, nothing = self.data.augmentation, trained[:0]
        if augmentation is not None and augmentation.changes(side):
            trained = nothing  # nobody knows yet what these will be
        if other is store:
            return [TextUse(side, store, trained, *evaluated)]
        return [TextUse(side, store, trained, nothing, nothing), TextUse(side, other, nothing, *evaluated)]

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

    def clicks_of(self, inputs: FineTuningInputs) -> ReadableClicks:
        """A split as click models take it; near-duplicate queries count as one."""
        return ReadableClicks.of(self.data, inputs, self.query_key)

    def fitted(self, clicks: ClickModel) -> FittedClicks:
        """A click model fitted once, on the training sessions that their source does not flag as irrelevant; those that
        are so for want of a click (data.no_event_is_irrelevant) are among them.

        Raises:
            DataError: they cannot tell its parameters.
        """
        if clicks not in self._fitted:
            self._fitted[clicks] = clicks.fit(self.clicks_of(self.data.train).log)
        return self._fitted[clicks]

    def sessions(
        self, inputs: FineTuningInputs, confidence: Confidence | ClickModel, *, weigh_events: bool = False
    ) -> SessionArrays:
        """A split as the pair planner takes it: views of the data's own columns, which may lie on disk.

        Args:
            inputs: the split.
            confidence: how its clicks are read; a click model is fitted on train first.
            weigh_events: a positive counts as its event weighs, over the mean of the split's events.
        """
        arrays = self._read(inputs, confidence)
        return replace(arrays, event_unit=_event_unit(inputs.flat_events)) if weigh_events else arrays

    def _read(self, inputs: FineTuningInputs, confidence: Confidence | ClickModel) -> SessionArrays:
        if isinstance(confidence, ClickModel):
            clicks = self.clicks_of(inputs)
            evidence = clicks.evidence_on_results(self.fitted(confidence).evidence(clicks.log))
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
            session_weights=inputs.weights if inputs.is_weighted else None,
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


def _event_unit(events: FloatArray) -> float | None:
    """Mean of the weights above 0; None where all are the same."""
    picked = events[events > 0]
    return float(picked.mean(dtype=np.float64)) if len(picked) and picked.min() < picked.max() else None


def _item_column(data: RankingData, parts: Parts | None) -> pa.ChunkedArray:
    return data.items.table.column("text") if parts is None else parts.texts


def _parts(data: RankingData, model: Any) -> Parts:
    """The items' parts, of as many tokens as the items tower takes; of another model's tokenizer nothing is known."""
    assert data.item_splitter is not None
    texts = (text for chunk in data.items.table.column("text").chunks for text in chunk.to_pylist())
    if isinstance(model, TextEmbeddingModel):
        tower = model.tower("items")
        return data.item_splitter.split(texts, tower.count_tokens, tower.room(model.prompt("items")))
    return data.item_splitter.split(texts, partial(_counted, model), _ANY_NUMBER)


def _counted(model: Any, texts: Sequence[str]) -> IntArray:
    return np.array([len(tokens) for tokens in model.tokenize(texts, "items")], dtype=np.int64)


def _tokenize(model: Any, side: Side, batch: Sequence[str]) -> list[Tokens]:
    tokens: list[Tokens] = model.tokenize(batch, side)
    return tokens


def _tokens(texts: Sequence[str], model: Any, side: Side, folder: StoreFolder | None) -> TokenStore:
    tokenize = partial(_tokenize, model, side)
    if not isinstance(model, TextEmbeddingModel):  # another one can't say what decides its tokens
        return TokenStore.build(texts, tokenize)
    key, prompt = model.tower(side).tokenizer_key, model.prompt(side)
    return TokenStore.build(texts, tokenize, folder=folder, tokenizer_key=key, prompt=prompt)
