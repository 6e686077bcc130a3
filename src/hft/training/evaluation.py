"""A model's ranks on one split: each text embedded once, a value a query for every metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hft.metrics import DistShift, RankedLists, order_within, rank_lists, rank_matrix, ranking_depth, top_rows
from hft.models.packed import PackedTexts
from hft.training.kept_vectors import kept_vectors
from hft.training.parts import ItemParts
from hft.training.ranks import Ranker, full_precision
from hft.training.sessions import FloatArray, IntArray
from hft.training.token_store import TokenStore

Side = Literal["query", "items"]
# Texts embedded between two reports of progress.
PROGRESS_TEXTS = 512
# Queries scored at once against a pool: bounds the memory of the score matrix.
QUERY_CHUNK = 256
# Pairs of query and text ranked at once: bounds the memory of their vectors.
PAIR_CHUNK = 65536
Progress = Callable[[int], None]


class EmbeddingModel(Protocol):
    """What training and evaluation need of a model."""

    def embed(self, tokens: PackedTexts, side: Side) -> Tensor:
        """FloatTensor[texts, dim]."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of which the first tells the device."""
        ...


@dataclass(frozen=True)
class EvaluationArrays:
    """What evaluation ranks for each query, and what is known of its relevance.

    Args:
        query_rows: int64[queries], rows among the query texts.
        shown_offsets: int64[queries + 1], where each query's shown list starts.
        shown_rows: int64[results], the shown items, in shown order.
        shown_events: float32[results], weight of the events on each.
        shown_gains: float32[results], what is known of the relevance of each.
        is_irrelevant: bool[queries].
        label_offsets: int64[queries + 1], where each query's known relevant items start.
        label_rows: int64[labels], items of known relevance.
        label_gains: float32[labels], how relevant; 0 is known not to be.
        pool: int64[items], what is ranked for every query; None ranks each query's shown list.
    """

    query_rows: IntArray
    shown_offsets: IntArray
    shown_rows: IntArray
    shown_events: FloatArray
    shown_gains: FloatArray
    is_irrelevant: npt.NDArray[np.bool_]
    label_offsets: IntArray
    label_rows: IntArray
    label_gains: FloatArray
    pool: IntArray | None

    def __len__(self) -> int:
        return len(self.query_rows)

    @property
    def shown_owners(self) -> IntArray:
        """int64[results], the query of each shown result."""
        return np.repeat(np.arange(len(self)), np.diff(self.shown_offsets))


@dataclass(frozen=True)
class Evaluation:
    """A model's results on one split.

    Args:
        values: for each metric's name, float64[queries]; NaN where a query has no value.
        shown_ranks: float32[results], rank of every shown result.
        top_rows: int64[queries, depth], the items ranked best, best first; -1 past the end of a list.
    """

    values: dict[str, npt.NDArray[np.float64]]
    shown_ranks: FloatArray
    top_rows: IntArray

    def means(self) -> dict[str, float]:
        """Mean over the queries that have a value; a metric without any is absent."""
        with_values = {name: values[~np.isnan(values)] for name, values in self.values.items()}
        return {name: float(values.mean()) for name, values in with_values.items() if len(values)}


class Vectors:
    """Vectors of some rows of a list of texts, found by row."""

    def __init__(self, rows: IntArray, vectors: Tensor) -> None:
        self.rows = rows
        self.vectors = vectors

    def of(self, rows: IntArray) -> Tensor:
        """FloatTensor[rows, dim]."""
        return self.vectors[torch.from_numpy(np.searchsorted(self.rows, rows)).to(self.vectors.device)]


@contextmanager
def inference(model: nn.Module, precision: str) -> Iterator[None]:
    """Eval mode without gradients, in the run's precision; every module's mode is put back.

    With torch.no_grad and not torch.inference_mode: what is computed here, weights in bf16 among it, is shared with
    training, which refuses inference tensors. It is as fast.
    """
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device.type
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=precision.startswith("bf16")):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def embed_rows(
    model: EmbeddingModel, store: TokenStore, rows: IntArray, side: Side, progress: Progress | None = None
) -> Vectors:
    """Vectors of the distinct rows given, each embedded once, texts of like length together.

    Those that are kept (see hft.training.kept_vectors) are read.
    """
    distinct = np.unique(rows)
    kept = kept_vectors()
    if kept is None or store.keys is None:
        return Vectors(distinct, _embedded(model, store, distinct, side, progress))
    keys = store.keys[distinct]
    found = kept.read(side, keys)
    if found is None:
        with kept.computing(side, keys):
            found = kept.read(side, keys)  # another process may have computed them while this one waited
            if found is None:
                found = _embedded(model, store, distinct, side, progress)
                kept.write(side, keys, found)
                return Vectors(distinct, found)
    if progress is not None:
        progress(len(distinct))
    return Vectors(distinct, found.to(next(model.parameters()).device))


def _embedded(
    model: EmbeddingModel, store: TokenStore, distinct: IntArray, side: Side, progress: Progress | None
) -> Tensor:
    """FloatTensor[rows, dim] of distinct rows."""
    order = np.argsort(store.lengths[distinct], kind="stable")
    parts = []
    for start in range(0, len(order), PROGRESS_TEXTS):
        chunk = order[start : start + PROGRESS_TEXTS]
        parts.append(model.embed(store.rows(distinct[chunk]), side).float())
        if progress is not None:
            progress(len(chunk))
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    vectors = torch.cat(parts)
    return vectors[torch.from_numpy(back).to(vectors.device)]


class Evaluator:
    """Ranks the queries of one split with a model and computes every metric.

    Args:
        arrays: what to rank.
        queries, items: the tokens of all texts.
        ranker: from the settings.
        sign: +1.0 where a higher rank is better, -1.0 where a lower one is.
        metrics: the metric calculators.
        seed: of the draw that breaks ties.
        extra_items: int64[items], further items to embed in the same pass.
        parts: which texts are the parts of which item; None: each item is one text. What is ranked are items.
    """

    def __init__(
        self,
        arrays: EvaluationArrays,
        queries: TokenStore,
        items: TokenStore,
        *,
        ranker: Ranker,
        sign: float,
        metrics: Sequence[Any],
        seed: int,
        extra_items: IntArray | None = None,
        parts: ItemParts | None = None,
    ) -> None:
        self.arrays = arrays
        self.queries = queries
        self.items = items
        self.ranker = ranker
        self.sign = sign
        self.metrics = list(metrics)
        self.seed = seed
        self.parts = parts
        rows = [arrays.shown_rows]
        if arrays.pool is not None:
            rows.append(arrays.pool)
        if extra_items is not None:
            rows.append(extra_items)
        self.item_rows = np.unique(np.concatenate(rows))

    @property
    def num_texts(self) -> int:
        """Texts that one evaluation embeds."""
        return len(np.unique(self.arrays.query_rows)) + len(self.texts_of(self.item_rows))

    def texts_of(self, items: IntArray) -> IntArray:
        """Rows among the texts of the given items: int64[items], or int64[parts] where they are in parts."""
        return items if self.parts is None else self.parts.rows(items)

    def vectors(self, model: EmbeddingModel, progress: Progress | None = None) -> tuple[Vectors, Vectors]:
        """Vectors of the split's queries and items. Call it inside `inference`."""
        queries = embed_rows(model, self.queries, self.arrays.query_rows, "query", progress)
        return queries, embed_rows(model, self.items, self.texts_of(self.item_rows), "items", progress)

    def evaluate(self, queries: Vectors, items: Vectors, start: Evaluation | None = None) -> Evaluation:
        """Metrics of the given vectors.

        Args:
            queries, items: as `vectors` returns them.
            start: the starting model's results, for metrics of how ranks moved; None leaves those out.
        """
        with full_precision(queries.vectors.device.type):
            return self._evaluate(queries, items, start)

    def _evaluate(self, queries: Vectors, items: Vectors, start: Evaluation | None) -> Evaluation:
        shown_ranks = self._shown_ranks(queries, items)
        top = self._top_of_shown(shown_ranks) if self.arrays.pool is None else self._top_of_pool(queries, items)
        ranked = self._ranked(top, shown_ranks)
        values = {}
        for metric in self.metrics:
            if not isinstance(metric, DistShift):
                values[metric.name] = metric(ranked)
            elif start is not None:
                values[metric.name] = metric(
                    start.shown_ranks,
                    shown_ranks,
                    self.arrays.shown_events,
                    self.arrays.shown_offsets,
                    self.arrays.is_irrelevant,
                    self.sign,
                )
        return Evaluation(values, shown_ranks, top)

    def _shown_ranks(self, queries: Vectors, items: Vectors) -> FloatArray:
        owners = self.arrays.query_rows[self.arrays.shown_owners]
        rows = self.arrays.shown_rows
        if self.parts is not None:
            return self._shown_ranks_of_parts(queries, items, owners, rows, self.parts)
        ranks = [
            self.ranker(queries.of(owners[at : at + PAIR_CHUNK]), items.of(rows[at : at + PAIR_CHUNK])).float().cpu()
            for at in range(0, len(rows), PAIR_CHUNK)
        ]
        return np.concatenate(ranks) if ranks else np.zeros(0, dtype=np.float32)

    def _shown_ranks_of_parts(
        self, queries: Vectors, items: Vectors, owners: IntArray, rows: IntArray, parts: ItemParts
    ) -> FloatArray:
        ranks = [np.zeros(0, dtype=np.float32)]
        for chunk in parts.chunks(rows, PAIR_CHUNK):
            own = parts.of(rows[chunk]).to(queries.vectors.device)
            asked = np.repeat(owners[chunk], parts.lengths(rows[chunk]))
            of_parts = self.ranker(queries.of(asked), items.of(parts.rows(rows[chunk])))
            ranks.append(own.ranks(of_parts, self.sign).float().cpu().numpy())
        return np.concatenate(ranks)

    def _top_of_pool(self, queries: Vectors, items: Vectors) -> IntArray:
        """int64[queries, depth]: the best items of the pool, exact, a chunk of queries at a time."""
        pool = self.arrays.pool
        assert pool is not None
        pool_vectors = items.of(self.texts_of(pool))
        parts = None if self.parts is None else self.parts.of(pool).to(pool_vectors.device)
        chunk = QUERY_CHUNK if parts is None else max(1, QUERY_CHUNK * len(pool) // len(pool_vectors))
        depth = ranking_depth(metric for metric in self.metrics if not isinstance(metric, DistShift))
        top = []
        for at in range(0, len(self.arrays), chunk):
            ranks = self.ranker.matrix(queries.of(self.arrays.query_rows[at : at + chunk]), pool_vectors)
            if parts is not None:
                ranks = parts.ranks(ranks, self.sign)
            scores = ranks.float().cpu().numpy()
            top.append(top_rows(scores, depth, rows=pool, higher_is_better=self.sign > 0, seed=self.seed + at))
        return np.concatenate(top)

    def _top_of_shown(self, shown_ranks: FloatArray) -> IntArray:
        """int64[queries, depth]: the shown items in the order of their ranks, -1 past a list's end."""
        arrays = self.arrays
        owners = arrays.shown_owners
        order = order_within(shown_ranks, owners, higher_is_better=self.sign > 0, seed=self.seed)
        place = np.arange(len(order)) - arrays.shown_offsets[owners]
        depth = int(np.diff(arrays.shown_offsets).max(initial=0))
        top = np.full((len(arrays), depth), -1, dtype=np.int64)
        top[owners, place] = arrays.shown_rows[order]
        return top

    def _ranked(self, top: IntArray, shown_ranks: FloatArray) -> RankedLists:
        arrays = self.arrays
        if arrays.pool is None:
            higher = self.sign > 0
            return rank_lists(
                shown_ranks, arrays.shown_gains, arrays.shown_offsets, higher_is_better=higher, seed=self.seed
            )
        return rank_matrix(top, arrays.label_offsets, arrays.label_rows, arrays.label_gains, pool=arrays.pool)
