"""Rankers: the rank of a query and an item, a score (higher is better) or a distance (lower is better).

All have gradients that stay finite everywhere, also for a zero vector and for two equal vectors.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CosineRanker", "DotRanker", "EuclideanRanker"]

# Below this squared distance the root's slope is cut, so that equal vectors have a finite gradient.
_SMALLEST_SQUARED_DISTANCE = 1e-12
_SMALLEST_LENGTH = 1e-12


class CosineRanker(nn.Module):
    """Cosine of the angle between query and item, in [-1, 1]. A similarity; 0 for a zero vector."""

    is_similarity: ClassVar[bool] = True

    def forward(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[pairs, dim] twice -> FloatTensor[pairs]."""
        return (_unit(queries) * _unit(items)).sum(dim=-1)

    def matrix(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[n, dim], FloatTensor[m, dim] -> FloatTensor[n, m], every query with every item."""
        return _unit(queries) @ _unit(items).T


class DotRanker(nn.Module):
    """Inner product of query and item. A similarity without bounds."""

    is_similarity: ClassVar[bool] = True

    def forward(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[pairs, dim] twice -> FloatTensor[pairs]."""
        return (queries * items).sum(dim=-1)

    def matrix(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[n, dim], FloatTensor[m, dim] -> FloatTensor[n, m], every query with every item."""
        return queries @ items.T


class EuclideanRanker(nn.Module):
    """Euclidean distance of query and item, >= 0. A distance: a lower rank is the better one."""

    is_similarity: ClassVar[bool] = False

    def forward(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[pairs, dim] twice -> FloatTensor[pairs]."""
        return _safe_root((queries - items).square().sum(dim=-1))

    def matrix(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[n, dim], FloatTensor[m, dim] -> FloatTensor[n, m], every query with every item.

        Through |q|^2 + |i|^2 - 2qi around the items' mean, which keeps the cancellation small.
        """
        centre = items.mean(dim=0, keepdim=True) if len(items) else 0.0
        queries, items = queries - centre, items - centre
        squares = queries.square().sum(dim=-1)[:, None] + items.square().sum(dim=-1)[None, :]
        return _safe_root((squares - 2.0 * (queries @ items.T)).clamp(min=0.0))


def _unit(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors, dim=-1, eps=_SMALLEST_LENGTH)


def _safe_root(squares: Tensor) -> Tensor:
    """Square root whose gradient is 0, not infinite, where the argument is (almost) 0."""
    small = squares < _SMALLEST_SQUARED_DISTANCE
    roots = torch.where(small, torch.ones_like(squares), squares).sqrt()
    return torch.where(small, squares * 0.0, roots)
