"""Where the tokens of texts stand that are computed together: a row each, with the padding between them or without."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

__all__ = ["Layout"]


class Layout:
    """Pieces of texts, each of one padded length, one after the other.

    Args:
        masks: of each piece BoolTensor[texts, tokens], true for a token and then false for padding.
    """

    def __init__(self, masks: tuple[Tensor, ...]) -> None:
        self.masks = masks

    @cached_property
    def starts(self) -> Tensor:
        """LongTensor[texts + 1]: where each text begins, and the last one ends, among the rows without padding."""
        lengths = torch.cat([mask.sum(dim=1) for mask in self.masks])
        return torch.cat((lengths.new_zeros(1), lengths.cumsum(0)))

    @cached_property
    def _places(self) -> Tensor:
        """LongTensor[tokens]: the rows that are no padding."""
        return torch.cat([mask.flatten() for mask in self.masks]).nonzero().view(-1)

    def without_padding(self, rows: Tensor) -> Tensor:
        """[tokens, width] of [tokens and padding, width]."""
        if len(self._places) == len(rows):
            return rows
        taken: Tensor = _Taken.apply(rows, self._places)  # type: ignore[no-untyped-call]
        return taken

    def with_padding(self, rows: Tensor) -> Tensor:
        """The way back; rows of padding are zeros."""
        count = sum(mask.numel() for mask in self.masks)
        if count == len(rows):
            return rows
        placed: Tensor = _Placed.apply(rows, self._places, count)  # type: ignore[no-untyped-call]
        return placed


class _Taken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor) -> Tensor:
        ctx.places, ctx.count = places, len(rows)
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.new_zeros(ctx.count, gradient.shape[1]).index_copy_(0, ctx.places, gradient), None


class _Placed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor, count: int) -> Tensor:
        ctx.places = places
        return rows.new_zeros(count, rows.shape[1]).index_copy_(0, places, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.index_select(0, ctx.places), None, None
