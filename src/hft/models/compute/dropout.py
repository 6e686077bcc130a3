"""Dropout on a CPU, quickly: torch draws a Bernoulli number at a time, which costs more than the layer around it.

Here 16 random bits decide on an element, drawn by SFC64 (NumPy's fastest generator) from a seed that torch's own
generator gives: whoever saves and restores torch's random state repeats the masks as well. A mask holds all ones
or all zeros an element, so that to drop is a bitwise and.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

__all__ = ["MaskSource", "apply_mask", "dropout"]

# Of the 16 bits drawn an element, 15 decide: the probability is met to 2**-16.
_LEVELS = 1 << 15
_BITS_OF = {torch.bfloat16: torch.int16, torch.float32: torch.int32}


class MaskSource:
    """Draws masks. Two sources made with the same state of torch's generator draw the same.

    Args:
        probability: of an element to be dropped, below 1.
    """

    def __init__(self, probability: float) -> None:
        seed = int(torch.empty((), dtype=torch.int64).random_())
        self.threshold = round((1.0 - probability) * _LEVELS) - _LEVELS // 2
        self._bits = np.random.SFC64(seed)

    def draw(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A mask for tensors of a shape and type: integers of as many bits, -1 to keep and 0 to drop."""
        count = int(np.prod(shape))
        bits = torch.from_numpy(self._bits.random_raw(-(-count // 4)).view(np.int16))[:count].view(shape)
        # 15 bits less the threshold: negative where the element is kept. The shift spreads the sign.
        mask = bits.bitwise_right_shift_(1).sub_(self.threshold).bitwise_right_shift_(15)
        return mask.to(_BITS_OF[dtype])


def apply_mask(values: Tensor, mask: Tensor) -> Tensor:
    """The values that the mask keeps, as they are; zeros elsewhere. Nothing is scaled."""
    return torch.bitwise_and(values.view(mask.dtype), mask).view(values.dtype)


def dropout(values: Tensor, probability: float) -> Tensor:
    """Dropout with a gradient: drops with a probability, and divides what is kept by the probability to be kept."""
    if probability == 0.0:
        return values
    dropped: Tensor = _Dropout.apply(values, probability)  # type: ignore[no-untyped-call]
    return dropped


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, probability: float) -> Tensor:
        values = values.contiguous()
        mask = MaskSource(probability).draw(tuple(values.shape), values.dtype)
        ctx.save_for_backward(mask)
        ctx.scale = 1.0 / (1.0 - probability)  # type: ignore[attr-defined]
        return apply_mask(values, mask).mul_(ctx.scale)  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return apply_mask(gradient.contiguous(), mask).mul_(ctx.scale), None  # type: ignore[attr-defined]
