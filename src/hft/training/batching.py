"""Batches by session: the order of the epochs, and what a training step gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from hft.models.packed import PackedTexts
from hft.training.pairs import PairPlan, PairPlanner
from hft.training.parts import ItemParts, PartsOfItems
from hft.training.sessions import IntArray


@dataclass(frozen=True)
class SessionBatch:
    """What a training step gets: the tokens of the distinct texts of some sessions, and the pairs over them.

    Args:
        num_sessions: sessions in the batch.
        queries, items: tokens of the distinct texts.
        pairs: indices of the pairs, as in PairPlan, as tensors on the device.
        parts: where items are in parts: `items` are the parts, and this makes one rank of an item's.
    """

    num_sessions: int
    queries: PackedTexts
    items: PackedTexts
    pairs: PairTensors
    parts: PartsOfItems | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SessionBatch:
        """The same batch with its indices on a device. Tokens move when they are padded."""
        parts = None if self.parts is None else self.parts.to(device, non_blocking)
        return SessionBatch(self.num_sessions, self.queries, self.items, self.pairs.to(device, non_blocking), parts)


@dataclass(frozen=True)
class PairTensors:
    """A PairPlan's pairs as tensors: LongTensor[pairs], FloatTensor[pairs], BoolTensor[pairs].

    `num_positives` is an upper bound of `positive_index`, exclusive. `weight` is None where all positives weigh the
    same.
    """

    positive_query: Tensor
    positive_item: Tensor
    negative_query: Tensor
    negative_item: Tensor
    positive_confidence: Tensor
    negative_confidence: Tensor
    positive_index: Tensor
    is_irrelevant: Tensor
    num_positives: int
    weight: Tensor | None = None

    @classmethod
    def of(cls, plan: PairPlan) -> PairTensors:
        """Tensors of a plan, on the CPU."""
        arrays = {name: getattr(plan, name) for name in cls.__dataclass_fields__ if _is_tensor(name)}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if array is not None}
        return cls(**tensors, num_positives=int(plan.positive_index.max(initial=-1)) + 1)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PairTensors:
        """The same tensors on a device; to a GPU from pinned memory."""
        device = torch.device(device)
        moved = {name: getattr(self, name) for name in self.__dataclass_fields__ if _is_tensor(name)}
        for name, tensor in moved.items():
            if tensor is None:
                continue
            if device.type == "cuda" and not tensor.is_cuda:
                tensor = tensor.pin_memory()
            moved[name] = tensor.to(device, non_blocking=non_blocking)
        return PairTensors(**moved, num_positives=self.num_positives)


def _is_tensor(name: str) -> bool:
    return name != "num_positives"


class EpochSampler(Sampler[tuple[int, int, IntArray]]):
    """Batches of sessions in an order that depends on the seed and the epoch alone.

    Each batch is (epoch, number of the batch in the epoch, int64[sessions]). An epoch can start at any batch, which is
    what an exact resume in the middle of an epoch needs.

    Args:
        rows: int64[sessions], the sessions to draw from.
        batch_size: sessions a batch; the last batch of an epoch may be smaller.
        seed: with the epoch, decides the order.

    Attributes:
        start_at: (epoch, batch): of that epoch the batches before that one are left out.
    """

    def __init__(self, rows: IntArray, batch_size: int, seed: int) -> None:
        # Half the memory, the same draws: a permutation goes by places.
        self.sessions = rows.astype(np.int32) if len(rows) and rows.max() < 2**31 else rows
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.start_at = (0, 0)

    def __len__(self) -> int:
        return -(-len(self.sessions) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int, IntArray]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.sessions)
        first = self.start_at[1] if self.start_at[0] == self.epoch else 0
        for number in range(first, len(self)):
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield self.epoch, number, batch.astype(np.int64)


class TextsOfEpochs(Protocol):
    """Tokens of texts, which may be others in each epoch."""

    def of_epoch(self, epoch: int, rows: IntArray) -> PackedTexts:
        """Tokens of the given int64[rows], in their order, as they are in an epoch."""
        ...


class SessionCollator:
    """Turns the sessions of a batch into a SessionBatch.

    Args:
        planner: decides the pairs.
        queries, items: the tokens of all texts; of items in parts those of the parts.
        seed: with the epoch and the number of the batch, decides the draw of negatives.
        parts: which texts are the parts of which item; None: each item is one text.
    """

    def __init__(
        self,
        planner: PairPlanner,
        queries: TextsOfEpochs,
        items: TextsOfEpochs,
        seed: int,
        parts: ItemParts | None = None,
    ) -> None:
        self.planner = planner
        self.queries = queries
        self.items = items
        self.seed = seed
        self.parts = parts

    def __call__(self, batch: tuple[int, int, IntArray]) -> SessionBatch:
        epoch, number, rows = batch
        plan = self.planner.plan(rows, np.random.default_rng([self.seed, epoch, number]))
        texts = plan.item_rows if self.parts is None else self.parts.rows(plan.item_rows)
        return SessionBatch(
            num_sessions=len(rows),
            queries=self.queries.of_epoch(epoch, plan.query_rows),
            items=self.items.of_epoch(epoch, texts),
            pairs=PairTensors.of(plan),
            parts=None if self.parts is None else self.parts.of(plan.item_rows),
        )


class _Batches(torch.utils.data.Dataset[tuple[int, int, IntArray]]):
    """Hands a sampler's batch through to the collator."""

    def __getitem__(self, batch: tuple[int, int, IntArray]) -> tuple[int, int, IntArray]:
        return batch


def session_loader(
    planner: PairPlanner,
    queries: TextsOfEpochs,
    items: TextsOfEpochs,
    *,
    batch_size: int,
    seed: int,
    parts: ItemParts | None = None,
) -> DataLoader[SessionBatch]:
    """A loader of SessionBatch over the usable sessions of the planner's split; arguments as of SessionCollator."""
    sampler = EpochSampler(planner.usable_sessions(), batch_size, seed)
    collator = SessionCollator(planner, queries, items, seed, parts)
    # A generator of its own: to begin an epoch must not draw from the one that dropout uses.
    return DataLoader(
        _Batches(),  # type: ignore[arg-type]
        sampler=sampler,
        batch_size=None,
        collate_fn=collator,  # type: ignore[arg-type]
        generator=torch.Generator(),
    )
