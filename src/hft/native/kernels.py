"""The kernels in C for tensors. What they compute, and what they overwrite, stands in their sources."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["LEVELS", "Kernels"]

LEVELS = 1 << 16
"""Of the random bits that decide on an element: `dropped` of a kernel is the share of them that drops it."""

_POINTER, _COUNT, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
_DROPOUT = (ctypes.c_uint64, ctypes.c_uint32)  # the seed, and how many of LEVELS drop
# Types of the arguments before the number of threads.
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "residual_norm": (*[_POINTER] * 5, _REAL, *_DROPOUT, *[_POINTER] * 3, *[_COUNT] * 2),
    "residual_norm_backward": (*[_POINTER] * 5, *_DROPOUT, *[_POINTER] * 3, *[_COUNT] * 2),
    "gelu": (*[_POINTER] * 3, *[_COUNT] * 2),
    "multiply": (*[_POINTER] * 3, *[_COUNT] * 2),
    "attention": (*[_POINTER] * 5, *[_COUNT] * 3, *_DROPOUT),
    "attention_backward": (*[_POINTER] * 6, *[_COUNT] * 3, *_DROPOUT),
    "linear": (*[_POINTER] * 4, *[_COUNT] * 4),
    "feed_forward": (*[_POINTER] * 7, *[_COUNT] * 3),
    "feed_forward_backward": (*[_POINTER] * 7, *[_COUNT] * 3),
    "weight_product": (*[_POINTER] * 3, *[_COUNT] * 3),
    "draw": (ctypes.c_uint64, *[_COUNT] * 2, _POINTER),
    "draw_attention": (ctypes.c_uint64, *[_COUNT] * 2, _POINTER),
}


class Kernels:
    """The functions in C by their names there, without `hft_`.

    Args:
        library: compiled from them.
        fingerprint: of what the compiler made of them; the attribute says besides whether they use tile registers.

    Attributes:
        tiles: whether products can use the processor's tile registers (Intel AMX).
        wide: whether it has vectors of 512 bits (AVX-512), without which torch's operations are faster.
    """

    def __init__(self, library: ctypes.CDLL, fingerprint: str) -> None:
        self.tiles = bool(library.hft_has_tiles())
        self.wide = bool(library.hft_has_wide_vectors())
        self.fingerprint = f"{fingerprint}-tiles" if self.tiles else fingerprint
        self._functions: dict[str, Callable[..., int]] = {}
        for name, types in _SIGNATURES.items():
            function = getattr(library, f"hft_{name}")
            function.argtypes, function.restype = [*types, ctypes.c_int], ctypes.c_int
            self._functions[name] = function

    def call(self, name: str, *arguments: Tensor | float | None) -> None:
        """Calls a function with the addresses of tensors, and with as many threads as torch has now.

        Raises:
            ValueError: a tensor is not contiguous.
            MemoryError: there is none for what it keeps beside them.
        """
        values = [_address(one) if isinstance(one, Tensor) else one for one in arguments]
        if self._functions[name](*values, torch.get_num_threads()):
            raise MemoryError(f"the kernel {name} found no memory")


def _address(tensor: Tensor) -> int:
    if not tensor.is_contiguous():
        raise ValueError(f"a kernel takes contiguous tensors only, not one of strides {tensor.stride()}")
    return tensor.data_ptr()
