"""Items in parts: from ranks of parts to ranks of items, differentiably, without a loop over items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from hft.training.sessions import IntArray, flat_rows

__all__ = ["ItemParts", "PartAggregation", "PartsOfItems", "aggregate_parts"]

PartAggregation = Literal["mean", "max", "min", "softmax"]


@dataclass(frozen=True)
class PartsOfItems:
    """How the parts of some items, one item after the other, make their ranks.

    Args:
        lengths: LongTensor[items], parts of each, 1 or more.
        how: `max` is the rank of the part that fits best (of a distance the smallest), `min` of the one that fits
            worst, `mean` the mean, `softmax` the mean weighted by exp(t * rank / temperature), normalised within the
            item; t is 1 for similarities and -1 for distances.
        temperature: of `softmax`, in units of the ranker; towards 0 it is `max`, and the larger the closer to `mean`.
    """

    lengths: Tensor
    how: PartAggregation
    temperature: float

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PartsOfItems:
        """The same on a device."""
        return PartsOfItems(self.lengths.to(device, non_blocking=non_blocking), self.how, self.temperature)

    def ranks(self, ranks: Tensor, sign: float) -> Tensor:
        """FloatTensor[queries, items] from FloatTensor[queries, parts], or [items] from [parts]."""
        found = aggregate_parts(
            ranks.t() if ranks.dim() == 2 else ranks, self.lengths, self.how, self.temperature, sign
        )
        return found.t() if ranks.dim() == 2 else found


@dataclass(frozen=True)
class ItemParts:
    """Which texts are the parts of which item.

    Args:
        offsets: int64[items + 1], the row of the first part of each item among all parts.
        how, temperature: see PartsOfItems.
    """

    offsets: IntArray
    how: PartAggregation = "max"
    temperature: float = 0.05

    def rows(self, items: IntArray) -> IntArray:
        """int64[parts]: the rows of the parts of some items, in their order."""
        return flat_rows(items, self.offsets)[0]

    def lengths(self, items: IntArray) -> IntArray:
        """int64[items]: how many parts each has."""
        found: IntArray = self.offsets[items + 1] - self.offsets[items]
        return found

    def of(self, items: IntArray) -> PartsOfItems:
        """How ranks of the parts of these items, as `rows` orders them, become theirs."""
        return PartsOfItems(torch.from_numpy(self.lengths(items)), self.how, self.temperature)

    def chunks(self, items: IntArray, most: int) -> list[slice]:
        """Runs of items with no more parts than `most` together, or of one item that has more."""
        ends = np.cumsum(self.lengths(items))
        found, start = [], 0
        while start < len(items):
            before = int(ends[start - 1]) if start else 0
            stop = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
            found.append(slice(start, stop))
            start = stop
        return found


def aggregate_parts(ranks: Tensor, lengths: Tensor, how: PartAggregation, temperature: float, sign: float) -> Tensor:
    """Ranks of items from ranks of their parts; the gradient goes to the parts that made them.

    An item of one part has that part's rank, to the last bit. Parts of an item that share the best rank share its
    gradient evenly.

    Args:
        ranks: FloatTensor[parts] or FloatTensor[parts, queries], an item's parts one after the other.
        lengths: LongTensor[items], 1 or more; together as many as parts.
        how, temperature: see PartsOfItems.
        sign: +1.0 where a higher rank is better, -1.0 where a lower one is.

    Returns:
        FloatTensor[items] or FloatTensor[items, queries].
    """
    if len(lengths) == len(ranks):
        return ranks
    ranks = ranks.contiguous()
    if how == "mean":
        return _reduce(ranks, "mean", lengths)
    best_is_highest = (how == "max") == (sign > 0)
    if how in ("max", "min"):
        return _reduce(ranks, "max" if best_is_highest else "min", lengths)
    fit = ranks * (sign / temperature)
    best = _reduce(fit.detach(), "max", lengths).repeat_interleave(lengths, dim=0, output_size=len(ranks))
    weights = torch.exp(fit - best)
    return _reduce(weights * ranks, "sum", lengths) / _reduce(weights, "sum", lengths)


def _reduce(values: Tensor, how: str, lengths: Tensor) -> Tensor:
    # unsafe: torch would look whether the lengths fit, and a GPU wait for the answer.
    found: Tensor = torch.segment_reduce(values, how, lengths=lengths, axis=0, unsafe=True)
    return found
