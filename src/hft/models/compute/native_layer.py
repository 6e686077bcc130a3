"""The layer of BERT in training, in bf16 on a CPU, by the kernels in C.

As hft.models.compute.bert_layer has it, with each tensor read and written once between two products. What is kept for
the backward pass: instead of masks the seeds they come from; instead of what goes into GELU its derivative there;
instead of a sum before a norm the normalised one; and instead of the softmax the logarithms of its sums.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hft.models.compute.layer_weights import LayerShape, LayerWeights
from hft.models.compute.native_products import products_of, scratch
from hft.native import LEVELS, Kernels

__all__ = ["train_native_layer"]


def train_native_layer(
    flat: Tensor,
    starts: Tensor,
    weights: LayerWeights,
    shape: LayerShape,
    parameters: tuple[Tensor, ...],
    kernels: Kernels,
) -> Tensor:
    """The layer with dropout and with a gradient.

    Args:
        flat: bf16[tokens of all texts, width], without padding.
        starts: LongTensor[texts + 1], where each text begins there, and the last one ends.
        weights, shape: of the layer.
        parameters: the float32 parameters that the weights were made from, in the order query, key, value (weight and
            bias each), then as in LayerWeights from `out` on; they get the gradients.
        kernels: compiled.

    Returns:
        as `flat`.
    """
    result: Tensor = _NativeLayer.apply(flat, starts, weights, shape, kernels, *parameters)  # type: ignore[no-untyped-call]
    return result


class _NativeLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        flat: Tensor,
        starts: Tensor,
        weights: LayerWeights,
        shape: LayerShape,
        kernels: Kernels,
        *_: Tensor,
    ) -> Tensor:
        flat = flat.contiguous()
        drops, products = _Drops(shape), products_of(kernels, weights)
        attention = _Attention(kernels, starts, shape, drops)
        projected = products.forward(flat, weights.qkv, flat.new_empty(len(flat), len(weights.qkv)))
        attended, logs = attention.forward(projected, weights.qkv_bias)
        branch = products.forward(attended, weights.out, scratch("branch", *flat.shape))
        norm = (weights.out_bias, flat, weights.norm, weights.norm_bias, shape.eps, *drops.first)
        middle, *first_saved = _residual_norm(kernels, branch, *norm)
        raised, slope = products.feed_forward(middle, weights, branch)
        norm = (weights.down_bias, middle, weights.last_norm, weights.last_norm_bias, shape.last_eps, *drops.second)
        last, *second_saved = _residual_norm(kernels, branch, *norm)
        of_attention = (flat, projected, logs, attended)
        ctx.save_for_backward(*of_attention, *first_saved, middle, slope, raised, *second_saved)
        ctx.weights, ctx.kernels, ctx.drops, ctx.products, ctx.attention = weights, kernels, drops, products, attention
        ctx.shape = shape
        return last

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        flat, projected, logs, attended, *of_feed_forward = ctx.saved_tensors
        normed, scales, middle, slope, raised, last_normed, last_scales = of_feed_forward
        weights, shape, kernels, drops, products = ctx.weights, ctx.shape, ctx.kernels, ctx.drops, ctx.products
        given = (gradient.contiguous(), None, last_normed, last_scales, weights.last_norm, *drops.second)
        to_second, to_branch, (last_norm, last_norm_bias, down_bias) = _residual_norm_backward(kernels, *given)
        down = products.of_weight(to_branch, raised)
        to_up, to_middle = scratch("up", *slope.shape), scratch("middle", *middle.shape)
        up_bias = products.feed_forward_backward(to_branch, weights, slope, to_up, to_middle)
        up = products.of_weight(to_up, middle)
        given = (to_second, to_middle, normed, scales, weights.norm, *drops.first)
        to_first, to_branch, (norm, norm_bias, out_bias) = _residual_norm_backward(kernels, *given)
        out = products.of_weight(to_branch, attended)
        to_attended = products.backward(to_branch, weights.out, to_middle)
        to_heads, qkv_bias = ctx.attention.backward(to_attended, projected, logs)
        qkv = products.of_weight(to_heads, flat)
        to_flat = None
        if ctx.needs_input_grad[0]:
            to_flat = products.backward(to_heads, weights.qkv, torch.empty_like(flat), to_first)
        width = flat.shape[1]
        for gradients_of in (qkv, qkv_bias):
            gradients_of[:width] *= shape.query_scale
            gradients_of[2 * width :] *= shape.attention_scale
        query, key, value = torch.tensor_split(qkv, 3)
        query_bias, key_bias, value_bias = torch.tensor_split(qkv_bias, 3)
        of_attention = (query, query_bias, key, key_bias, value, value_bias, out, out_bias, norm, norm_bias)
        of_feed_forward = (up, up_bias, down, down_bias, last_norm, last_norm_bias)
        return to_flat, None, None, None, None, *of_attention, *of_feed_forward


class _Drops:
    """Seed and level of each dropout of one layer in one pass: after attention, at the end, of attention's weights."""

    def __init__(self, shape: LayerShape) -> None:
        first, second, attention = torch.empty(3, dtype=torch.int64).random_().tolist()
        level = round(shape.dropout * LEVELS)
        self.first, self.second = (first, level), (second, level)
        self.attention = (attention, round(shape.attention_dropout * LEVELS))


def _residual_norm(
    kernels: Kernels,
    branch: Tensor,
    branch_bias: Tensor,
    residual: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    seed: int,
    dropped: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The norm's result; the normalised sum and the scales of its rows."""
    result, normed = torch.empty_like(residual), torch.empty_like(residual)
    scales = torch.empty(len(residual), dtype=torch.float32)
    given = (branch, branch_bias, residual, weight, bias, eps, seed, dropped)
    kernels.call("residual_norm", *given, result, normed, scales, *residual.shape)
    return result, normed, scales


def _residual_norm_backward(
    kernels: Kernels,
    gradient: Tensor,
    more: Tensor | None,
    normed: Tensor,
    scales: Tensor,
    weight: Tensor,
    seed: int,
    dropped: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of residual and branch; of weight, bias and the branch's bias [3, width]."""
    to_residual, to_branch = torch.empty_like(gradient), scratch("branch", *gradient.shape)
    sums = torch.empty(3, gradient.shape[1], dtype=torch.float32)
    given = (gradient, more, normed, scales, weight, seed, dropped)
    kernels.call("residual_norm_backward", *given, to_residual, to_branch, sums, *gradient.shape)
    return to_residual, to_branch, sums


class _Attention:
    """Attention of one layer in one pass.

    Args:
        kernels: compiled.
        starts: of the texts.
        shape: of the layer.
        drops: of the pass.
    """

    def __init__(self, kernels: Kernels, starts: Tensor, shape: LayerShape, drops: _Drops) -> None:
        self._kernels, self._starts = kernels, starts
        self._how = (len(starts) - 1, shape.heads, shape.head_width, *drops.attention)

    def forward(self, projected: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """From queries, keys and values [tokens, 3 * width], to which the bias is added.

        Returns:
            attention's result [tokens, width], and for the backward pass the logarithms of the softmax's sums,
            float32[tokens * heads].
        """
        result = projected.new_empty(len(projected), projected.shape[1] // 3)
        logs = torch.empty(len(projected) * self._how[1], dtype=torch.float32)
        self._kernels.call("attention", projected, bias, self._starts, result, logs, *self._how)
        return result, logs

    def backward(self, gradient: Tensor, projected: Tensor, logs: Tensor) -> tuple[Tensor, Tensor]:
        """From the gradient of the result that of queries, keys and values, and that of their bias."""
        result = scratch("qkv", *projected.shape)
        bias = torch.empty(result.shape[1], dtype=torch.float32)
        given = (gradient, projected, self._starts, logs)
        self._kernels.call("attention_backward", *given, result, bias, *self._how)
        return result, bias
