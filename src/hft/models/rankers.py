"""Rankers: the rank of a query and an item, a score (higher is better) or a distance (lower is better).

All have gradients that stay finite everywhere, also for a zero vector and for two equal vectors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from hft.errors import ConfigError

__all__ = ["CosineRanker", "DotRanker", "EuclideanRanker", "settle_similarity"]

# Below this squared distance the root's slope is cut, so that equal vectors have a finite gradient.
_SMALLEST_SQUARED_DISTANCE = 1e-12
_SMALLEST_LENGTH = 1e-12


def settle_similarity(model: Any, ranker: Any) -> None:
    """How a model's vectors are compared: as its folder says, which the ranker must do, or else as the ranker does.

    Vectors of length 1 are put in one order by cosine, dot product and Euclidean distance. Of a ranker of somebody's
    own nothing is known.

    Raises:
        ConfigError: the two differ.
    """
    words, ours = getattr(model, "words", None), getattr(ranker, "similarity", None)
    if words is None or ours is None:
        return
    said = words.similarity
    if said is None and ours != "cosine":  # which is what a folder means that says nothing
        model.words = replace(words, similarity=ours)
    if said in (None, ours):
        return
    if said != "manhattan" and all(tower.normalize for tower in model.towers):
        return
    choose = "hft has no such ranker" if said == "manhattan" else f"Choose ranker={said}"
    raise ConfigError(
        f"{words.file}: similarity_fn_name={said}, and the ranker is {ours}. {choose}, or overrule the folder: "
        f"model.similarity={ours}."
    )


class CosineRanker(nn.Module):
    """Cosine of the angle between query and item, in [-1, 1]. A similarity; 0 for a zero vector."""

    is_similarity: ClassVar[bool] = True
    similarity: ClassVar[str] = "cosine"

    def forward(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[pairs, dim] twice -> FloatTensor[pairs]."""
        return (_unit(queries) * _unit(items)).sum(dim=-1)

    def matrix(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[n, dim], FloatTensor[m, dim] -> FloatTensor[n, m], every query with every item."""
        return _unit(queries) @ _unit(items).T


class DotRanker(nn.Module):
    """Inner product of query and item. A similarity without bounds."""

    is_similarity: ClassVar[bool] = True
    similarity: ClassVar[str] = "dot"

    def forward(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[pairs, dim] twice -> FloatTensor[pairs]."""
        return (queries * items).sum(dim=-1)

    def matrix(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[n, dim], FloatTensor[m, dim] -> FloatTensor[n, m], every query with every item."""
        return queries @ items.T


class EuclideanRanker(nn.Module):
    """Euclidean distance of query and item, >= 0. A distance: a lower rank is the better one."""

    is_similarity: ClassVar[bool] = False
    similarity: ClassVar[str] = "euclidean"

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
