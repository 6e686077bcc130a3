"""Hard negatives: what the model as it is ranks high for a training query although nobody picked it.

The one thing of a run that flows back: the model decides on the data of the epochs to come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from hft.metrics import top_rows
from hft.settings import HardNegativeSettings
from hft.training.evaluation import Vectors, embed_rows, inference
from hft.training.parts import ItemParts
from hft.training.ranks import Ranker, full_precision
from hft.training.sessions import BoolArray, FloatArray, IntArray, SessionArrays, flat_rows, is_among
from hft.training.token_store import TokenStore

__all__ = ["HardNegativeMiner", "HardNegativeMining", "MinedNegatives"]

# Queries searched at once: bounds the memory of the score matrix.
QUERY_CHUNK = 256


@dataclass(frozen=True)
class MinedNegatives:
    """Hard negatives of each (query, positive), ragged.

    Args:
        codes: int64[pairs], sorted: row of the query times the number of items, plus the row of the positive.
        offsets: int64[pairs + 1], where the negatives of each begin.
        item_rows: int64[negatives], hardest first.
        num_items: rows that there are.
    """

    codes: IntArray
    offsets: IntArray
    item_rows: IntArray
    num_items: int

    def of(self, query_rows: IntArray, item_rows: IntArray) -> tuple[IntArray, IntArray]:
        """(int64[negatives] item rows, int64[negatives] the index of the positive that each is for).

        Args:
            query_rows, item_rows: int64[positives]; of those that were not mined for, there are none.
        """
        if not len(self.codes):
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing
        wanted = query_rows * self.num_items + item_rows
        place = np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)
        is_known = np.flatnonzero(self.codes[place] == wanted)
        flat, owners = flat_rows(place[is_known], self.offsets)
        return self.item_rows[flat], is_known[owners]


class HardNegativeMiner:
    """Finds hard negatives by exact search over the items of the training sessions.

    For each training query all these items are ranked by the model, known positives of the query and their near-
    duplicates left out. Of the places `ranks` those are kept that pass the guard against false negatives: an item
    that scores about as well as the positive is likely to be one that nobody happened to see. The first `count` are
    taken for each positive.

    Source of the guard: de Souza P. Moreira et al., "NV-Retriever: improving text embedding models with effective
    hard-negative mining", 2024, section 3 (TopK-MarginPos and TopK-PercPos).

    Args:
        sessions: the training split, and no other.
        queries, items: the tokens of all texts; of items in parts those of the parts.
        settings: how many, how hard, how often.
        ranker: from the settings.
        sign: +1.0 where a higher rank is better, -1.0 where a lower one is.
        precision: Lightning's word for the run's precision.
        seed: of the draw that breaks ties.
        parts: which texts are the parts of which item; None: each item is one text.
    """

    def __init__(
        self,
        sessions: SessionArrays,
        queries: TokenStore,
        items: TokenStore,
        settings: HardNegativeSettings,
        *,
        ranker: Ranker,
        sign: float,
        precision: str,
        seed: int,
        parts: ItemParts | None = None,
    ) -> None:
        self.sessions = sessions
        self.queries = queries
        self.items = items
        self.settings = settings
        self.ranker = ranker
        self.sign = sign
        self.precision = precision
        self.seed = seed
        self.parts = parts
        picked, owners = sessions.events_of_sessions()
        counts = ~sessions.is_irrelevant[owners]
        query_rows = sessions.query_rows[owners[counts]].astype(np.int64)
        item_rows = sessions.item_rows[picked[counts]].astype(np.int64)
        self.num_items = len(sessions.item_keys)
        self._codes = np.unique(query_rows * self.num_items + item_rows)
        self._key_of_query = np.zeros(int(query_rows.max(initial=-1)) + 1, dtype=np.int64)
        self._key_of_query[sessions.query_rows[owners]] = sessions.query_keys[owners]
        self.candidates = np.unique(sessions.item_rows).astype(np.int64)
        self._known = sessions.known_positives()
        self._most_known = self._known_by_query()

    def mine(self, model: Any) -> MinedNegatives:
        """Hard negatives by the model as it is. Draws no number that training uses, and leaves its modes alone.

        Args:
            model: on the device to compute on.
        """
        query_of, positive_of = np.divmod(self._codes, self.num_items)
        with inference(model, self.precision):
            queries = embed_rows(model, self.queries, query_of, "query")
            texts = self.candidates if self.parts is None else self.parts.rows(self.candidates)
            items = embed_rows(model, self.items, texts, "items")
        lengths, found = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        with torch.no_grad(), full_precision(queries.vectors.device.type):
            for at in range(0, len(queries.rows), QUERY_CHUNK):
                rows = queries.rows[at : at + QUERY_CHUNK]
                here = slice(*np.searchsorted(query_of, [rows[0], rows[-1] + 1]))
                top, taken = self._of_chunk(queries, items, rows, query_of[here], positive_of[here], self.seed + at)
                lengths.append(taken.sum(axis=1))
                found.append(top[taken])
        offsets = np.concatenate(([0], np.cumsum(np.concatenate(lengths)))).astype(np.int64)
        return MinedNegatives(self._codes, offsets, np.concatenate(found), self.num_items)

    def _of_chunk(
        self, queries: Vectors, items: Vectors, rows: IntArray, query_of: IntArray, positive_of: IntArray, seed: int
    ) -> tuple[IntArray, BoolArray]:
        """(int64[pairs, depth] the best items of each pair's query, best first; bool[pairs, depth] which are taken)."""
        vectors = queries.of(rows)
        matrix = self.ranker.matrix(vectors, items.vectors).float()
        if self.parts is not None:
            matrix = self.parts.of(self.candidates).to(matrix.device).ranks(matrix, self.sign)
        scores = matrix.cpu().numpy()
        depth = min(self.settings.ranks[1] + int(self._most_known[self._key_of_query[rows]].max()), scores.shape[1])
        higher = self.sign > 0
        best = top_rows(scores, depth, rows=np.arange(len(self.candidates)), higher_is_better=higher, seed=seed)
        values = np.take_along_axis(scores, best, axis=1)
        top = self.candidates[best]
        codes = self.sessions.pair_code(np.broadcast_to(self._key_of_query[rows][:, None], top.shape), top)
        is_free = ~is_among(codes, self._known)
        place = np.cumsum(is_free, axis=1)
        first, last = self.settings.ranks
        in_window = is_free & (place >= first) & (place <= last)
        of_query = np.searchsorted(rows, query_of)
        positive = scores[of_query, np.searchsorted(self.candidates, positive_of)]
        taken = in_window[of_query] & self._passes_guard(positive[:, None], values[of_query])
        # A click that is not believed makes no known positive, and is no negative of itself.
        item_keys = self.sessions.item_keys
        taken &= item_keys[top[of_query]] != item_keys[positive_of][:, None]
        return top[of_query], np.asarray(taken & (np.cumsum(taken, axis=1) <= self.settings.count), dtype=np.bool_)

    def _passes_guard(self, positive: FloatArray, negative: FloatArray) -> BoolArray:
        """bool[pairs, depth]: whether a candidate is far enough below the positive to be a true negative."""
        passes = self.sign * (positive - negative) >= self.settings.margin
        ratio = self.settings.max_ratio
        if ratio is not None and self.sign > 0:
            # A share of a score below 0 would lie above it.
            passes &= negative <= np.where(positive > 0, ratio * positive, positive)
        elif ratio is not None:
            passes &= ratio * negative >= positive
        return np.asarray(passes, dtype=np.bool_)

    def _known_by_query(self) -> IntArray:
        """int64[query keys]: how many candidates are known positives of a query, their near-duplicates in."""
        query_keys, item_keys = np.divmod(self._known, self.num_items)
        doubles = np.bincount(self.sessions.item_keys[self.candidates], minlength=self.num_items)
        size = int(self.sessions.query_keys.max(initial=-1)) + 1
        counts = np.bincount(query_keys, weights=doubles[item_keys], minlength=size)
        return counts.astype(np.int64)


class HardNegativeMining(pl.Callback):
    """Mines anew at the beginning of every n-th epoch, the first in, and hands the negatives to the planner.

    A checkpoint holds them: a run resumed in the middle of an epoch goes on with those that the weights at its
    beginning gave.

    Args:
        miner: finds them.
        every_n_epochs: between two searches.
        take: the planner's; takes what was mined.

    Attributes:
        mined: those in use; None before the first search.
    """

    def __init__(self, miner: HardNegativeMiner, every_n_epochs: int, take: Callable[[MinedNegatives], None]) -> None:
        self.miner = miner
        self.every_n_epochs = every_n_epochs
        self.take = take
        self.mined: MinedNegatives | None = None
        self._epoch = -1

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Mines where it is time; an epoch that is resumed in its middle keeps what it had."""
        epoch = trainer.current_epoch
        if epoch % self.every_n_epochs == 0 and epoch != self._epoch:
            self._use(self.miner.mine(pl_module.model), epoch)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        if self.mined is None:
            return {}
        arrays = {name: getattr(self.mined, name) for name in ("codes", "offsets", "item_rows")}
        return {"epoch": self._epoch, **{name: torch.from_numpy(array) for name, array in arrays.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        if state_dict:
            arrays = {name: state_dict[name].numpy() for name in ("codes", "offsets", "item_rows")}
            self._use(MinedNegatives(**arrays, num_items=self.miner.num_items), state_dict["epoch"])

    def _use(self, mined: MinedNegatives, epoch: int) -> None:
        self.mined, self._epoch = mined, epoch
        self.take(mined)
