"""The layer of BERT in training, in bf16 on a CPU: products with weights by torch, and the rest by the kernels in C.

As hft.models.compute.bert_layer has it, with each tensor read and written once between two products. What is kept for
the backward pass: instead of masks the seeds they come from; instead of what goes into GELU its derivative there;
instead of a sum before a norm the normalised one; and instead of the softmax the logarithms of its sums.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hft.models.compute.bert_layer import pieces, weight_product
from hft.models.compute.layer_weights import LayerShape, LayerWeights
from hft.native import LEVELS, Kernels

__all__ = ["train_native_layer"]


def train_native_layer(
    flat: Tensor,
    masks: tuple[Tensor, ...],
    weights: LayerWeights,
    shape: LayerShape,
    parameters: tuple[Tensor, ...],
    kernels: Kernels,
) -> Tensor:
    """The layer with dropout and with a gradient.

    Args:
        flat: bf16[tokens of all pieces, width].
        masks: of each piece BoolTensor[texts, tokens], true for a token and then false for padding, which stands in
            `flat` too.
        weights, shape: of the layer.
        parameters: the float32 parameters that the weights were made from, in the order query, key, value (weight and
            bias each), then as in LayerWeights from `out` on; they get the gradients.
        kernels: compiled.

    Returns:
        as `flat`.
    """
    result: Tensor = _NativeLayer.apply(flat, masks, weights, shape, kernels, *parameters)  # type: ignore[no-untyped-call]
    return result


class _Scratch(threading.local):
    """Memory of a thread for what does not outlive a pass of a layer: used again, it is in the cache and in no need of
    new pages."""

    def __init__(self) -> None:
        self.buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """A contiguous bf16 tensor of any content, good until the next call with the same name."""
        count = math.prod(shape)
        buffer = self.buffers.get(name)
        if buffer is None or buffer.numel() < count:
            with torch.inference_mode(False):  # else training could not write to what an embedding pass has made
                buffer = self.buffers[name] = torch.empty(count, dtype=torch.bfloat16)
        return buffer[:count].view(shape)


_scratch = _Scratch()


def _product(name: str, left: Tensor, right: Tensor) -> Tensor:
    """A matrix product in scratch memory."""
    return torch.mm(left, right, out=_scratch(name, left.shape[0], right.shape[1]))


def _weight_product(kernels: Kernels, gradient: Tensor, inputs: Tensor) -> Tensor:
    """The gradient of a linear layer's weight, in float32."""
    rows, out = gradient.shape
    if not kernels.tiles or out % 32 or inputs.shape[1] % 32:
        return weight_product(gradient, inputs)
    result = torch.empty(out, inputs.shape[1], dtype=torch.float32)
    kernels.call("weight_product", gradient, inputs, result, rows, *result.shape)
    return result


class _NativeLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        flat: Tensor,
        masks: tuple[Tensor, ...],
        weights: LayerWeights,
        shape: LayerShape,
        kernels: Kernels,
        *_: Tensor,
    ) -> Tensor:
        flat = flat.contiguous()
        drops = _Drops(shape)
        attention = _Attention(kernels, masks, shape, drops)
        projected = torch.mm(flat, weights.qkv.t())
        attended, logs = attention.forward(projected, weights.qkv_bias)
        branch = _product("branch", attended, weights.out.t())
        norm = (weights.out_bias, flat, weights.norm, weights.norm_bias, shape.eps, *drops.first)
        middle, *first_saved = _residual_norm(kernels, branch, *norm)
        slope = torch.mm(middle, weights.up.t())
        raised = torch.empty_like(slope)
        kernels.call("gelu", slope, weights.up_bias, raised, *slope.shape)
        branch = _product("branch", raised, weights.down.t())
        norm = (weights.down_bias, middle, weights.last_norm, weights.last_norm_bias, shape.last_eps, *drops.second)
        last, *second_saved = _residual_norm(kernels, branch, *norm)
        of_attention = (flat, projected, logs, attended)
        ctx.save_for_backward(*of_attention, *first_saved, middle, slope, raised, *second_saved)
        ctx.weights, ctx.shape, ctx.kernels, ctx.drops, ctx.attention = weights, shape, kernels, drops, attention
        return last

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        flat, projected, logs, attended, *of_feed_forward = ctx.saved_tensors
        normed, scales, middle, slope, raised, last_normed, last_scales = of_feed_forward
        weights, shape, kernels, drops = ctx.weights, ctx.shape, ctx.kernels, ctx.drops
        given = (gradient.contiguous(), None, last_normed, last_scales, weights.last_norm, *drops.second)
        to_second, to_branch, (last_norm, last_norm_bias, down_bias) = _residual_norm_backward(kernels, *given)
        down = _weight_product(kernels, to_branch, raised)
        to_up = _product("up", to_branch, weights.down)
        up_bias = to_up.new_empty(to_up.shape[1], dtype=torch.float32)
        kernels.call("multiply", to_up, slope, up_bias, *to_up.shape)
        up = _weight_product(kernels, to_up, middle)
        given = (to_second, _product("middle", to_up, weights.up), normed, scales, weights.norm, *drops.first)
        to_first, to_branch, (norm, norm_bias, out_bias) = _residual_norm_backward(kernels, *given)
        out = _weight_product(kernels, to_branch, attended)
        to_attended = _product("middle", to_branch, weights.out)
        to_heads, qkv_bias = ctx.attention.backward(to_attended, projected, logs)
        qkv = _weight_product(kernels, to_heads, flat)
        to_flat = torch.addmm(to_first, to_heads, weights.qkv) if ctx.needs_input_grad[0] else None
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
    to_residual, to_branch = torch.empty_like(gradient), _scratch("branch", *gradient.shape)
    sums = torch.empty(3, gradient.shape[1], dtype=torch.float32)
    given = (gradient, more, normed, scales, weight, seed, dropped)
    kernels.call("residual_norm_backward", *given, to_residual, to_branch, sums, *gradient.shape)
    return to_residual, to_branch, sums


class _Attention:
    """Attention of one layer over the pieces of one pass.

    Args:
        kernels: compiled.
        masks: of each piece.
        shape: of the layer.
        drops: of the pass.
    """

    def __init__(self, kernels: Kernels, masks: tuple[Tensor, ...], shape: LayerShape, drops: _Drops) -> None:
        self.kernels, self.masks, self.shape = kernels, masks, shape
        self.lengths = [mask.sum(dim=1, dtype=torch.int32) for mask in masks]
        self.seed, self.dropped = drops.attention

    def forward(self, projected: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """From queries, keys and values [tokens of all pieces, 3 * width], to which the bias is added.

        Returns:
            attention's result [tokens of all pieces, width], and for the backward pass the logarithms of the softmax's
            sums, float32[tokens of all pieces * heads].
        """
        result = projected.new_empty(len(projected), projected.shape[1] // 3)
        logs = torch.empty(len(projected), self.shape.heads, dtype=torch.float32)
        for number, (part, to_part, to_logs) in enumerate(self._pieces(projected, result, logs)):
            self._call("attention", number, part, bias, self.lengths[number], to_part, to_logs)
        return result, logs

    def backward(self, gradient: Tensor, projected: Tensor, logs: Tensor) -> tuple[Tensor, Tensor]:
        """From the gradient of the result that of queries, keys and values, and that of their bias."""
        result = _scratch("qkv", *projected.shape)
        bias = torch.zeros(result.shape[1], dtype=torch.float32)
        parts = self._pieces(gradient, projected, logs, result)
        for number, (part, of_part, of_logs, to_part) in enumerate(parts):
            self._call("attention_backward", number, part, of_part, self.lengths[number], of_logs, to_part, bias)
        return result, bias

    def _pieces(self, *values: Tensor) -> Iterator[tuple[Tensor, ...]]:
        return zip(*((part for part, _ in pieces(one, self.masks)) for one in values), strict=True)

    def _call(self, name: str, number: int, *tensors: Tensor) -> None:
        shape = (*self.masks[number].shape, self.shape.heads, self.shape.head_width)
        self.kernels.call(name, *tensors, *shape, self.seed + number, self.dropped)
