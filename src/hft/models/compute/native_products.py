"""Products of a layer in bf16 training with its weights, and what is done with each: by tile registers, or by torch.

With tile registers (Intel AMX) the kernels in C are faster than torch's library, which compiles anew for each number of
tokens; without them torch's products are.
"""

from __future__ import annotations

import math
import threading
from typing import Protocol

import torch
from torch import Tensor

from hft.models.compute.bert_layer import weight_product
from hft.models.compute.layer_weights import LayerWeights
from hft.native import Kernels

__all__ = ["Products", "products_of", "scratch"]

# Widths in multiples of this fit tile registers.
_WIDTH_UNIT = 32


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


scratch = _Scratch()


class Products(Protocol):
    """The products of one layer. Tensors are bf16 and contiguous, [tokens, width] or as in LayerWeights; `result` is
    where the product goes, and what is returned."""

    def forward(self, values: Tensor, weight: Tensor, result: Tensor) -> Tensor:
        """values by the transpose of weight."""

    def backward(self, gradient: Tensor, weight: Tensor, result: Tensor, added: Tensor | None = None) -> Tensor:
        """gradient by weight, plus `added`."""

    def of_weight(self, gradient: Tensor, values: Tensor) -> Tensor:
        """The gradient of a weight in float32, from that of its product with `values`."""

    def feed_forward(self, values: Tensor, weights: LayerWeights, result: Tensor) -> tuple[Tensor, Tensor]:
        """A feed-forward network without its last bias.

        Returns:
            GELU of what `up` gives [tokens, inner width], and GELU's derivative there.
        """

    def feed_forward_backward(
        self, gradient: Tensor, weights: LayerWeights, slope: Tensor, to_up: Tensor, result: Tensor
    ) -> Tensor:
        """The way back: to what goes into GELU, `to_up`, and to the values, `result`.

        Returns:
            the gradient of the bias of `up`, float32.
        """


def products_of(kernels: Kernels, weights: LayerWeights) -> Products:
    """The faster ones for a layer on this processor."""
    fits = all(size % _WIDTH_UNIT == 0 for size in (*weights.qkv.shape, *weights.up.shape))
    return _TileProducts(kernels) if kernels.tiles and fits else _TorchProducts(kernels)


class _TileProducts:
    def __init__(self, kernels: Kernels) -> None:
        self._call = kernels.call

    def forward(self, values: Tensor, weight: Tensor, result: Tensor) -> Tensor:
        self._call("linear", values, weight, None, result, *values.shape, result.shape[1], 0)
        return result

    def backward(self, gradient: Tensor, weight: Tensor, result: Tensor, added: Tensor | None = None) -> Tensor:
        self._call("linear", gradient, weight, added, result, *gradient.shape, result.shape[1], 1)
        return result

    def of_weight(self, gradient: Tensor, values: Tensor) -> Tensor:
        result = torch.empty(gradient.shape[1], values.shape[1], dtype=torch.float32)
        self._call("weight_product", gradient, values, result, len(values), *result.shape)
        return result

    def feed_forward(self, values: Tensor, weights: LayerWeights, result: Tensor) -> tuple[Tensor, Tensor]:
        raised, slope = (values.new_empty(len(values), len(weights.up)) for _ in range(2))
        given = (values, weights.up, weights.up_bias, weights.down)
        self._call("feed_forward", *given, raised, slope, result, *values.shape, raised.shape[1])
        return raised, slope

    def feed_forward_backward(
        self, gradient: Tensor, weights: LayerWeights, slope: Tensor, to_up: Tensor, result: Tensor
    ) -> Tensor:
        bias = torch.empty(slope.shape[1], dtype=torch.float32)
        given = (gradient, weights.up, weights.down, slope)
        self._call("feed_forward_backward", *given, to_up, bias, result, *gradient.shape, slope.shape[1])
        return bias


class _TorchProducts:
    def __init__(self, kernels: Kernels) -> None:
        self._call = kernels.call

    def forward(self, values: Tensor, weight: Tensor, result: Tensor) -> Tensor:
        return torch.mm(values, weight.t(), out=result)

    def backward(self, gradient: Tensor, weight: Tensor, result: Tensor, added: Tensor | None = None) -> Tensor:
        if added is None:
            return torch.mm(gradient, weight, out=result)
        return torch.addmm(added, gradient, weight, out=result)

    def of_weight(self, gradient: Tensor, values: Tensor) -> Tensor:
        return weight_product(gradient, values)

    def feed_forward(self, values: Tensor, weights: LayerWeights, result: Tensor) -> tuple[Tensor, Tensor]:
        slope = torch.mm(values, weights.up.t())
        raised = torch.empty_like(slope)
        self._call("gelu", slope, weights.up_bias, raised, *slope.shape)
        torch.mm(raised, weights.down.t(), out=result)
        return raised, slope

    def feed_forward_backward(
        self, gradient: Tensor, weights: LayerWeights, slope: Tensor, to_up: Tensor, result: Tensor
    ) -> Tensor:
        torch.mm(gradient, weights.down, out=to_up)
        bias = torch.empty(slope.shape[1], dtype=torch.float32)
        self._call("multiply", to_up, slope, bias, *slope.shape)
        torch.mm(to_up, weights.up, out=result)
        return bias
