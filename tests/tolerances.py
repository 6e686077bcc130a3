"""How far two right results may lie apart, from the arithmetic and not from one processor's luck."""

from __future__ import annotations

import math

import numpy as np
import torch

__all__ = ["rounding"]


def rounding(terms: int, sums: int = 1, dtype: torch.dtype = torch.float32) -> float:
    """Absolute difference between two ways of computing numbers of size 1, the same but for the order of additions.

    Which order it is depends on the processor, on threads, and on where a tensor lies in memory. Each addition
    rounds by half an eps at most, and roundings behave like a random walk (Higham and Mary, "A new approach to
    probabilistic rounding error analysis", 2019): sqrt(additions) * eps; four of these hold for all numbers of a
    tensor. Numbers of another size: multiply by the largest, or pass it as `rtol` of sums without cancellation.

    Args:
        terms: of the longest sum, such as a matrix product's inner dimension.
        sums: one after the other, such as the products of all layers.
        dtype: that is computed in; what it adds up in is no narrower.
    """
    eps = float(np.finfo(np.float64).eps) if dtype == torch.float64 else torch.finfo(dtype).eps
    return 4.0 * math.sqrt(terms * sums) * eps
