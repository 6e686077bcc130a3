"""From one vector a token to one vector a text."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PoolingMode", "Projection", "cls_pooling", "mean_pooling"]

PoolingMode = Literal["mean", "cls"]

# A matrix product of fewer rows may take another kernel and give other last bits: rows are padded to this.
_ROWS_MULTIPLE = 16


def mean_pooling(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that are not padding, in float32.

    Args:
        hidden: FloatTensor[texts, tokens, width].
        mask: LongTensor[texts, tokens], 1 for a token and 0 for padding.

    Returns:
        Float32 tensor [texts, width].
    """
    weights = mask.to(torch.float32).unsqueeze(-1)
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def cls_pooling(hidden: Tensor, mask: Tensor) -> Tensor:
    """The first token's vector, in float32. Shapes as in `mean_pooling`; padding stands on the right."""
    return hidden[:, 0].float()


class Projection(nn.Module):
    """A dense layer after pooling: `activation(linear(x))`.

    Each row's result does not depend, to the last bit, on how many rows stand beside it.

    Args:
        in_features: width before.
        out_features: width after.
        bias: whether the layer adds a bias.
        activation: `identity` or `tanh`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        activation: Literal["identity", "tanh"] = "identity",
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation = activation

    def extra_repr(self) -> str:
        """What the layer within does not tell: keys of what is kept go by it."""
        return f"activation={self.activation}"

    def forward(self, vectors: Tensor) -> Tensor:
        """FloatTensor[texts, in_features] -> FloatTensor[texts, out_features]."""
        texts = vectors.shape[0]
        projected = self.linear(functional.pad(vectors, (0, 0, 0, -texts % _ROWS_MULTIPLE)))[:texts]
        return torch.tanh(projected) if self.activation == "tanh" else projected
