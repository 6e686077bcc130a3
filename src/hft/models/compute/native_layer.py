"""The layer of BERT in training, in bf16 on a CPU: matrix products by torch, and all between them by kernels.c.

As hft.models.compute.bert_layer has it, with each tensor read and written once between two products. What is kept for
the backward pass: instead of masks the seeds they come from; instead of what goes into GELU its derivative there;
instead of a sum before a norm the normalised one; and the softmax with the mask in its signs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from hft.models.compute.bert_layer import blocks, pieces, weight_product
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
        attended, heads, softs = attention.forward(_product("qkv", flat, weights.qkv.t()), weights.qkv_bias)
        branch = _product("branch", attended, weights.out.t())
        norm = (weights.out_bias, flat, weights.norm, weights.norm_bias, shape.eps, *drops.first)
        middle, *first_saved = _residual_norm(kernels, branch, *norm)
        slope = torch.mm(middle, weights.up.t())
        raised = torch.empty_like(slope)
        kernels.call("gelu", slope, weights.up_bias, raised, *slope.shape)
        branch = _product("branch", raised, weights.down.t())
        norm = (weights.down_bias, middle, weights.last_norm, weights.last_norm_bias, shape.last_eps, *drops.second)
        last, *second_saved = _residual_norm(kernels, branch, *norm)
        ctx.save_for_backward(flat, attended, *first_saved, middle, slope, raised, *second_saved, *heads, *softs)
        ctx.weights, ctx.shape, ctx.kernels, ctx.drops, ctx.attention = weights, shape, kernels, drops, attention
        return last

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        flat, attended, normed, scales, middle, slope, raised, last_normed, last_scales, *rest = ctx.saved_tensors
        weights, shape, kernels, drops = ctx.weights, ctx.shape, ctx.kernels, ctx.drops
        heads, softs = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        given = (gradient.contiguous(), None, last_normed, last_scales, weights.last_norm, *drops.second)
        to_second, to_branch, (last_norm, last_norm_bias, down_bias) = _residual_norm_backward(kernels, *given)
        down = weight_product(to_branch, raised)
        to_up = _product("up", to_branch, weights.down)
        up_bias = to_up.new_empty(to_up.shape[1], dtype=torch.float32)
        kernels.call("multiply", to_up, slope, up_bias, *to_up.shape)
        up = weight_product(to_up, middle)
        given = (to_second, _product("middle", to_up, weights.up), normed, scales, weights.norm, *drops.first)
        to_first, to_branch, (norm, norm_bias, out_bias) = _residual_norm_backward(kernels, *given)
        out = weight_product(to_branch, attended)
        to_heads, qkv_bias = ctx.attention.backward(_product("middle", to_branch, weights.out), heads, softs)
        qkv = weight_product(to_heads, flat)
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
        self.seed, self.dropped = drops.attention

    def forward(self, projected: Tensor, bias: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """From queries, keys and values [tokens of all pieces, 3 * width] without their bias.

        Returns:
            attention's result [tokens of all pieces, width]; of each piece queries, keys and values [3, texts * heads,
            tokens, width of a head], and the softmax [texts * heads, tokens, tokens] with the mask in its signs.
        """
        result = projected.new_empty(len(projected), projected.shape[1] // 3)
        of_pieces, softs = [], []
        for number, (part, to_part, mask) in enumerate(self._pieces(projected, result)):
            heads = part.new_empty(3, mask.shape[0] * self.shape.heads, mask.shape[1], self.shape.head_width)
            self._split(part, mask, heads, bias)
            soft = heads.new_empty(heads.shape[1], heads.shape[2], heads.shape[2])
            attended = _scratch("attended", *heads.shape[1:])
            lengths = mask.sum(dim=1, dtype=torch.int32)
            for at in blocks(soft):
                scores = _scratch("scores", *soft[at].shape)
                torch.bmm(heads[0, at], heads[1, at].transpose(1, 2), out=scores)
                where = (at.start, len(scores), self.shape.heads, mask.shape[1])
                self.kernels.call("softmax", scores, soft[at], lengths, *where, self.seed + number, self.dropped)
                torch.bmm(scores, heads[2, at], out=attended[at])
            self._join(attended, mask, 1, to_part)
            of_pieces.append(heads)
            softs.append(soft)
        return result, of_pieces, softs

    def backward(self, gradient: Tensor, of_pieces: Sequence[Tensor], softs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """From the gradient of the result that of queries, keys and values, and that of their bias."""
        result = _scratch("qkv", len(gradient), 3 * gradient.shape[1])
        bias = torch.zeros(result.shape[1], dtype=torch.float32)
        parts = zip(self._pieces(gradient, result), of_pieces, softs, strict=True)
        for (part, to_part, mask), heads, soft in parts:
            by_head = self._split(part, mask, _scratch("attended", 1, *heads.shape[1:]))[0]
            to_heads = _scratch("heads", *heads.shape)
            for at in blocks(soft):
                to_scores = _scratch("scores", *soft[at].shape)
                torch.bmm(by_head[at], heads[2, at].transpose(1, 2), out=to_scores)
                kept = _scratch("kept", *to_scores.shape)
                self.kernels.call("softmax_backward", to_scores, soft[at], kept, *kept.shape[:2])
                torch.bmm(kept.transpose(1, 2), by_head[at], out=to_heads[2, at])
                torch.bmm(to_scores, heads[1, at], out=to_heads[0, at])
                torch.bmm(to_scores.transpose(1, 2), heads[0, at], out=to_heads[1, at])
            self._join(to_heads, mask, 3, to_part, bias)
        return result, bias

    def _pieces(self, values: Tensor, result: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        of_result = (part for part, _ in pieces(result, self.masks))
        return ((part, next(of_result), mask) for part, mask in pieces(values, self.masks))

    def _split(self, values: Tensor, mask: Tensor, result: Tensor, bias: Tensor | None = None) -> Tensor:
        shape = (*mask.shape, len(result), self.shape.heads, self.shape.head_width)
        self.kernels.call("split_heads", values, bias, result, *shape)
        return result

    def _join(self, values: Tensor, mask: Tensor, kinds: int, result: Tensor, sums: Tensor | None = None) -> None:
        shape = (*mask.shape, kinds, self.shape.heads, self.shape.head_width)
        self.kernels.call("join_heads", values, result, sums, *shape)
