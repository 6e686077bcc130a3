"""From one vector a token to one vector a text, and the modules that follow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hft.models.sentence.head import PoolingMode

__all__ = ["Normalize", "Pooling", "Projection", "cls_pooling", "mean_pooling"]

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


class Pooling(nn.Module):
    """A text's vector from its tokens': those of several modes side by side, as sentence-transformers' Pooling.

    Args:
        modes: `mean`, `cls` (the first token), `max`, `mean_sqrt_len_tokens` (the sum over the root of the number),
            `weightedmean` (by the place, from 1) or `lasttoken`.
        include_prompt: whether the tokens of a prompt count; all tokens see them in any case.
    """

    def __init__(self, modes: tuple[PoolingMode, ...] = ("mean",), include_prompt: bool = True) -> None:
        super().__init__()
        self.modes = modes
        self.include_prompt = include_prompt

    def extra_repr(self) -> str:
        """Keys of what is kept go by it."""
        return f"modes={self.modes}, include_prompt={self.include_prompt}"

    def forward(self, hidden: Tensor, mask: Tensor, prompt_tokens: int = 0) -> Tensor:
        """Float32 tensor [texts, modes * width].

        Args:
            hidden: FloatTensor[texts, tokens, width], padded on the right.
            mask: BoolTensor[texts, tokens], true for a token.
            prompt_tokens: at the beginning of each text, which are left out; 0 where they count.
        """
        counted = mask
        if prompt_tokens:
            counted = mask & (torch.arange(mask.shape[1], device=mask.device) >= prompt_tokens)
        if not prompt_tokens and self.modes == ("cls",):
            return cls_pooling(hidden, mask)
        pooled = [_pooled(mode, hidden, counted) for mode in self.modes]
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=-1)


def _pooled(mode: PoolingMode, hidden: Tensor, mask: Tensor) -> Tensor:
    """Float32 [texts, width]. Where no token counts: the first one for `cls`, zeros (`max`: -inf) for the others."""
    if mode == "mean":
        return mean_pooling(hidden, mask)
    if mode == "cls":
        return _picked(hidden, mask.to(torch.int32).argmax(dim=1))
    if mode == "lasttoken":
        places = torch.arange(mask.shape[1], device=mask.device)
        last = (mask * places).argmax(dim=1)
        return _picked(hidden, last) * mask.any(dim=1, keepdim=True)
    weights = mask.to(torch.float32).unsqueeze(-1)
    if mode == "max":
        return hidden.float().masked_fill(weights == 0, float("-inf")).amax(dim=1)
    if mode == "weightedmean":
        weights = weights * torch.arange(1, mask.shape[1] + 1, device=mask.device).view(1, -1, 1)
        return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0).sqrt()


def _picked(hidden: Tensor, places: Tensor) -> Tensor:
    """Float32 [texts, width]: of each text the token at its place in int64[texts]."""
    return hidden[torch.arange(len(hidden), device=hidden.device), places].float()


class Normalize(nn.Module):
    """Vectors get length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        """FloatTensor[texts, dim] -> FloatTensor[texts, dim]."""
        return functional.normalize(vectors, dim=-1)


class Projection(nn.Module):
    """A dense layer after pooling: `activation(linear(x))`, with `residual` plus x.

    Each row's result does not depend, to the last bit, on how many rows stand beside it.

    Args:
        in_features: width before.
        out_features: width after.
        bias: whether the layer adds a bias.
        activation: name of a class of torch.nn without arguments.
        residual: whether what comes in is added to what goes out, through weights where the widths differ.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        activation: str = "Identity",
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation: nn.Module = getattr(nn, activation)()
        self.adds_input = residual
        if residual and in_features != out_features:
            self.residual = nn.Linear(in_features, out_features, bias=False)

    def extra_repr(self) -> str:
        """What the layers within do not tell: keys of what is kept go by it."""
        return f"adds_input={self.adds_input}"

    def forward(self, vectors: Tensor) -> Tensor:
        """FloatTensor[texts, in_features] -> FloatTensor[texts, out_features]."""
        texts = vectors.shape[0]
        padded = functional.pad(vectors, (0, 0, 0, -texts % _ROWS_MULTIPLE))
        projected: Tensor = self.activation(self.linear(padded))
        if self.adds_input:
            projected = projected + (padded if self.in_features == self.out_features else self.residual(padded))
        return projected[:texts]
