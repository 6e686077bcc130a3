"""What a layer of BERT is computed with: its shape, and its weights in the type to compute in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BackwardWeights", "LayerShape", "LayerWeights"]


@dataclass(frozen=True)
class LayerShape:
    """What a layer is beside its weights.

    Args:
        heads: of the attention.
        head_width: of each.
        eps, last_eps: of the two layer norms.
        dropout: of what attention and feed-forward network give.
        attention_dropout: of the attention's weights.
    """

    heads: int
    head_width: int
    eps: float
    last_eps: float
    dropout: float
    attention_dropout: float

    @property
    def query_scale(self) -> float:
        """What queries are multiplied by."""
        return float(self.head_width**-0.5)

    @property
    def dropout_scale(self) -> float:
        """What dropout multiplies by what it keeps."""
        return 1.0 / (1.0 - self.dropout)

    @property
    def attention_scale(self) -> float:
        """The same, of the attention's weights."""
        return 1.0 / (1.0 - self.attention_dropout)


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer: matrices in the type to compute in, norms in float32.

    Constant factors stand in the weights, where they cost nothing: `query_scale` in those of the queries, and, of a
    layer that drops, the factor of attention's dropout in those of the values.

    Args:
        qkv, qkv_bias: [3 * width, width] and [3 * width], of queries, keys and values.
        out, out_bias: of the projection after attention.
        norm, norm_bias: of the layer norm after attention; `last_norm`, `last_norm_bias`: of the one at the end.
        up, up_bias, down, down_bias: of the feed-forward network.
    """

    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norm: Tensor
    norm_bias: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor
    last_norm: Tensor
    last_norm_bias: Tensor

    @classmethod
    def of(
        cls, parameters: tuple[Tensor, ...], shape: LayerShape, dtype: torch.dtype, bias_dtype: torch.dtype
    ) -> LayerWeights:
        """From a layer's parameters.

        Args:
            parameters: weight and bias each of query, key, value, the projection after attention, its norm, up, down
                and the last norm.
            shape: of the layer.
            dtype: of the matrices.
            bias_dtype: of their biases.
        """
        query, query_bias, key, key_bias, value, value_bias, out, out_bias, norm, norm_bias, *rest = parameters
        up, up_bias, down, down_bias, last_norm, last_norm_bias = rest
        to_queries, to_values = shape.query_scale, shape.attention_scale
        return LayerWeights(
            qkv=torch.cat((query * to_queries, key, value * to_values)).to(dtype),
            qkv_bias=torch.cat((query_bias * to_queries, key_bias, value_bias * to_values)).to(bias_dtype),
            out=out.to(dtype).contiguous(),
            out_bias=out_bias.to(bias_dtype),
            norm=norm.float(),
            norm_bias=norm_bias.float(),
            up=up.to(dtype).contiguous(),
            up_bias=up_bias.to(bias_dtype),
            down=down.to(dtype).contiguous(),
            down_bias=down_bias.to(bias_dtype),
            last_norm=last_norm.float(),
            last_norm_bias=last_norm_bias.float(),
        )


@dataclass(frozen=True)
class BackwardWeights(LayerWeights):
    """With what the backward pass by torch's operations needs beside.

    Args:
        out_backward, down_backward: `out` and `down` with the factor of the dropout after them.
    """

    out_backward: Tensor
    down_backward: Tensor

    @classmethod
    def of(
        cls, parameters: tuple[Tensor, ...], shape: LayerShape, dtype: torch.dtype, bias_dtype: torch.dtype
    ) -> BackwardWeights:
        """As LayerWeights.of."""
        plain = LayerWeights.of(parameters, shape, dtype, bias_dtype)
        out, down = parameters[6], parameters[12]
        return BackwardWeights(
            **vars(plain),
            out_backward=(out * shape.dropout_scale).to(dtype),
            down_backward=(down * shape.dropout_scale).to(dtype),
        )
