"""A layer of BERT on a CPU: attention, feed-forward, both with dropout, residual and layer norm.

The forward and the backward pass are written out, for what autograd cannot know: which products can be one, what
need not be kept, that a mask can be applied without a multiplication, and that sums over a softmax are known from its
output (Dao et al., "FlashAttention", 2022, section 3.1: the row sums of dP * P equal those of dO * O). Under bf16 all
activations are bf16; norms and softmax sum in float32 inside, gradients of weights are handed out in float32.

Source of the layer itself: Devlin et al., "BERT", 2019; Vaswani et al., "Attention is all you need", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hft.models.compute.dropout import MaskSource, apply_mask
from hft.models.compute.layer_weights import BackwardWeights, LayerShape, LayerWeights

__all__ = ["blocks", "infer_layer", "pieces", "train_layer", "weight_product"]

_SUMMED_AT_ONCE = 64
# Scores of attention that are computed at once: in bf16 some 1.5 MiB, so that they are still in the cache of the cores
# for the softmax, for dropout and for the next product.
_CACHED_NUMBERS = 786_432
_layer_norm = torch.ops.aten.native_layer_norm
_layer_norm_backward = torch.ops.aten.native_layer_norm_backward
_gelu_backward = torch.ops.aten.gelu_backward


def infer_layer(flat: Tensor, masks: tuple[Tensor, ...], weights: LayerWeights, shape: LayerShape) -> Tensor:
    """The layer without dropout and without a gradient.

    Args:
        flat: [tokens of all pieces, width].
        masks: of each piece BoolTensor[texts, tokens], true for a token; padding stands in `flat` too.
        weights, shape: of the layer.

    Returns:
        as `flat`.
    """
    width = flat.shape[1]
    attended = []
    for part, mask in pieces(functional.linear(flat, weights.qkv, weights.qkv_bias), masks):
        heads = _by_head(part, mask, shape)
        found = functional.scaled_dot_product_attention(
            heads[0], heads[1], heads[2], attn_mask=mask[:, None, None, :], scale=1.0
        )
        attended.append(found.transpose(1, 2).reshape(-1, width))
    first = functional.linear(torch.cat(attended), weights.out, weights.out_bias).add_(flat)
    middle = functional.layer_norm(first, (width,), weights.norm, weights.norm_bias, shape.eps)
    raised = functional.gelu(functional.linear(middle, weights.up, weights.up_bias))
    second = functional.linear(raised, weights.down, weights.down_bias).add_(middle)
    return functional.layer_norm(second, (width,), weights.last_norm, weights.last_norm_bias, shape.last_eps)


def train_layer(
    flat: Tensor,
    masks: tuple[Tensor, ...],
    weights: BackwardWeights,
    shape: LayerShape,
    parameters: tuple[Tensor, ...],
) -> Tensor:
    """The layer with dropout and with a gradient.

    Args:
        flat, masks, weights, shape: as for `infer_layer`.
        parameters: the float32 parameters that the weights were made from, in the order query, key, value (weight and
            bias each), then as in LayerWeights from `out` on; they get the gradients.
    """
    result: Tensor = _TrainLayer.apply(flat, masks, weights, shape, *parameters)  # type: ignore[no-untyped-call]
    return result


class _TrainLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, flat: Tensor, masks: tuple[Tensor, ...], weights: BackwardWeights, shape: LayerShape, *_: Tensor
    ) -> Tensor:
        width = [flat.shape[1]]
        drops = _Drops(shape)
        projected = functional.linear(flat, weights.qkv, weights.qkv_bias)
        parts = [_attend(part, mask, shape, drops) for part, mask in pieces(projected, masks)]
        attended = torch.cat([found for found, *_ in parts])
        first, first_mask = _residual(flat, functional.linear(attended, weights.out, weights.out_bias), drops)
        middle, mean, scale = _layer_norm(first, width, weights.norm, weights.norm_bias, shape.eps)
        up = functional.linear(middle, weights.up, weights.up_bias)
        raised = functional.gelu(up)
        second, second_mask = _residual(middle, functional.linear(raised, weights.down, weights.down_bias), drops)
        last, *last_saved = _layer_norm(second, width, weights.last_norm, weights.last_norm_bias, shape.last_eps)
        saved = (flat, attended, first_mask, first, mean, scale, middle, up, raised, second_mask, second, *last_saved)
        ctx.save_for_backward(*saved, *(tensor for _, *of_piece in parts for tensor in of_piece))
        ctx.weights, ctx.shape = weights, shape
        result: Tensor = last
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        flat, attended, first_mask, first, mean, scale, middle, up, raised, *rest = ctx.saved_tensors
        second_mask, second, last_mean, last_scale, *of_pieces = rest
        weights, shape, width = ctx.weights, ctx.shape, flat.shape[1]
        to_second, last_norm, last_norm_bias = _norm_backward(
            gradient.contiguous(), second, last_mean, last_scale, weights.last_norm, weights.last_norm_bias
        )
        to_down = _through_mask(to_second, second_mask)
        down, down_bias = _weight_gradients(to_down, raised, shape.dropout_scale)
        to_up = _gelu_backward(torch.mm(to_down, weights.down_backward), up)
        up_weight, up_bias = _weight_gradients(to_up, middle)
        to_middle = torch.addmm(to_second, to_up, weights.up)
        to_first, norm, norm_bias = _norm_backward(to_middle, first, mean, scale, weights.norm, weights.norm_bias)
        to_out = _through_mask(to_first, first_mask)
        out, out_bias = _weight_gradients(to_out, attended, shape.dropout_scale)
        to_heads = _attend_backward(torch.mm(to_out, weights.out_backward), attended, of_pieces, shape)
        qkv, qkv_bias = _weight_gradients(to_heads, flat)
        to_flat = torch.addmm(to_first, to_heads, weights.qkv) if ctx.needs_input_grad[0] else None
        for gradients_of in (qkv, qkv_bias):
            gradients_of[:width] *= shape.query_scale
            gradients_of[2 * width :] *= shape.attention_scale
        query, key, value = torch.tensor_split(qkv, 3)
        query_bias, key_bias, value_bias = torch.tensor_split(qkv_bias, 3)
        of_attention = (query, query_bias, key, key_bias, value, value_bias, out, out_bias, norm, norm_bias)
        of_feed_forward = (up_weight, up_bias, down, down_bias, last_norm, last_norm_bias)
        return to_flat, None, None, None, *of_attention, *of_feed_forward


class _Drops:
    """The masks of one layer in one pass."""

    def __init__(self, shape: LayerShape) -> None:
        self.hidden = MaskSource(shape.dropout) if shape.dropout else None
        self.attention = MaskSource(shape.attention_dropout) if shape.attention_dropout else None
        self.scale = shape.dropout_scale


def pieces(flat: Tensor, masks: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
    """Each piece's rows of [tokens of all pieces, width], with its mask."""
    start = 0
    for mask in masks:
        yield flat[start : start + mask.numel()], mask
        start += mask.numel()


def _by_head(projected: Tensor, mask: Tensor, shape: LayerShape) -> Tensor:
    """[3, texts, heads, tokens, width of a head]: the queries, keys and values of a piece."""
    return _permuted(projected.view(*mask.shape, 3, shape.heads, shape.head_width), (2, 0, 3, 1, 4))


def _attend(projected: Tensor, mask: Tensor, shape: LayerShape, drops: _Drops) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Attention over a piece: its result [texts * tokens, width], and what the backward pass needs.

    These are queries, keys and values [3, texts * heads, tokens, width of a head], the softmax [texts * heads, tokens,
    tokens], and the softmax after dropout.
    """
    texts, tokens = mask.shape
    heads = _by_head(projected, mask, shape).view(3, texts * shape.heads, tokens, shape.head_width)
    padding = torch.zeros(mask.shape, dtype=heads.dtype).masked_fill_(~mask, torch.finfo(heads.dtype).min)
    padding = padding.repeat_interleave(shape.heads, dim=0).unsqueeze(1)
    soft = heads.new_empty(texts * shape.heads, tokens, tokens)
    dropped = soft if drops.attention is None else torch.empty_like(soft)
    attended = torch.empty_like(heads[0])
    for at in blocks(soft):
        scores = torch.bmm(heads[0, at], heads[1, at].transpose(1, 2)).add_(padding[at])
        torch.softmax(scores, dim=-1, out=soft[at])
        if drops.attention is not None:
            mask_bits = drops.attention.draw(tuple(scores.shape), scores.dtype)
            torch.bitwise_and(soft[at].view(mask_bits.dtype), mask_bits, out=dropped[at].view(mask_bits.dtype))
        torch.bmm(dropped[at], heads[2, at], out=attended[at])
    attended = attended.view(texts, shape.heads, tokens, shape.head_width)
    return _permuted(attended, (0, 2, 1, 3)).view(texts * tokens, -1), heads, soft, dropped


def blocks(scores: Tensor) -> Iterator[slice]:
    """Parts of the first dimension of [texts * heads, tokens, tokens] that stay in a core's cache."""
    size = max(1, _CACHED_NUMBERS // (scores.shape[1] * scores.shape[2]))
    return (slice(start, start + size) for start in range(0, len(scores), size))


def _attend_backward(gradient: Tensor, attended: Tensor, of_pieces: Sequence[Tensor], shape: LayerShape) -> Tensor:
    """The gradient [tokens of all pieces, 3 * width] of queries, keys and values, from that of attention's result."""
    sums = (gradient * attended).view(len(gradient), shape.heads, shape.head_width).sum(dim=-1)
    result, start = [], 0
    for heads, soft, dropped in zip(of_pieces[::3], of_pieces[1::3], of_pieces[2::3], strict=True):
        stop = start + heads[0].numel() // gradient.shape[1]
        result.append(_piece_backward(gradient[start:stop], sums[start:stop], heads, soft, dropped, shape.heads))
        start = stop
    return torch.cat(result)


def _piece_backward(gradient: Tensor, sums: Tensor, heads: Tensor, soft: Tensor, dropped: Tensor, count: int) -> Tensor:
    _, of_texts, tokens, head_width = heads.shape
    texts = of_texts // count
    by_token = sums.view(texts, tokens, count).transpose(1, 2).reshape(of_texts, tokens, 1)
    by_head = _permuted(gradient.view(texts, tokens, count, head_width), (0, 2, 1, 3)).view(heads.shape[1:])
    result = torch.empty_like(heads)
    for at in blocks(soft):
        torch.bmm(dropped[at].transpose(1, 2), by_head[at], out=result[2, at])
        to_scores = torch.bmm(by_head[at], heads[2, at].transpose(1, 2)).mul_(dropped[at])
        to_scores.addcmul_(soft[at], by_token[at], value=-1.0)
        torch.bmm(to_scores, heads[1, at], out=result[0, at])
        torch.bmm(to_scores.transpose(1, 2), heads[0, at], out=result[1, at])
    result = _permuted(result.view(3, texts, count, tokens, head_width), (1, 3, 0, 2, 4))
    return result.view(texts * tokens, 3 * count * head_width)


def _permuted(values: Tensor, order: tuple[int, ...]) -> Tensor:
    """A contiguous copy with the dimensions in another order, the last one staying last.

    Rows of the last dimension are moved eight bytes at a time, which is four times as fast as number by number in bf16.
    """
    eight_bytes = 8 // values.element_size()
    if values.shape[-1] % eight_bytes:
        return values.permute(order).contiguous()
    return values.view(torch.int64).permute(order).contiguous().view(values.dtype)


def _residual(residual: Tensor, branch: Tensor, drops: _Drops) -> tuple[Tensor, Tensor | None]:
    """The residual and the branch after dropout, and the mask."""
    if drops.hidden is None:
        return branch.add_(residual), None
    mask = drops.hidden.draw(tuple(branch.shape), branch.dtype)
    return torch.add(residual, apply_mask(branch, mask), alpha=drops.scale), mask


def _through_mask(gradient: Tensor, mask: Tensor | None) -> Tensor:
    return gradient if mask is None else apply_mask(gradient, mask)


def _weight_gradients(gradient: Tensor, inputs: Tensor, factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """Of a linear layer's weight and bias, in float32."""
    weight = weight_product(gradient, inputs)
    bias = _sum_over_tokens(gradient)
    return (weight, bias) if factor == 1.0 else (weight.mul_(factor), bias.mul_(factor))


def weight_product(gradient: Tensor, inputs: Tensor) -> Tensor:
    """The gradient of a linear layer's weight, in float32."""
    # The product is faster with the wider matrix in front.
    if gradient.shape[1] >= inputs.shape[1]:
        return torch.mm(gradient.t(), inputs).float()
    return torch.mm(inputs.t(), gradient).t().contiguous().float()


def _sum_over_tokens(values: Tensor) -> Tensor:
    """float32[width] of [tokens, width]. In two stages, which torch sums faster than in one."""
    tokens, width = values.shape
    if tokens % _SUMMED_AT_ONCE:
        return values.sum(dim=0).float()
    return values.view(-1, _SUMMED_AT_ONCE, width).sum(dim=1).float().sum(dim=0)


def _norm_backward(
    gradient: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of a layer norm's input, weight and bias.

    torch adds up the gradients of weight and bias in the type of the input, which in bf16 is off by up to a sixth
    over some thousand tokens; here they are matrix products, which sum in float32.
    """
    width = [inputs.shape[-1]]
    if inputs.dtype == torch.float32:
        whole: tuple[Tensor, Tensor, Tensor] = _layer_norm_backward(
            gradient, inputs, width, mean, scale, weight, bias, [True, True, True]
        )
        return whole
    to_inputs = _layer_norm_backward(gradient, inputs, width, mean, scale, weight, bias, [True, False, False])[0]
    # With n = (x - mean) * scale the weight's is the sum of g * n: the scales times g * x, less mean * scale times g.
    scales = scale.view(1, -1)
    to_weight = torch.mm(scales.to(inputs.dtype), gradient * inputs).float()
    to_weight -= torch.mm((mean.view(1, -1) * scales).to(inputs.dtype), gradient).float()
    return to_inputs, to_weight.view(-1), _sum_over_tokens(gradient)
