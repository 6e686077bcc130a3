"""Which way of computing an encoder's layers is taken."""

from __future__ import annotations

from typing import Literal

from torch import nn

from hft.models.compute.base import EncoderCompute
from hft.models.compute.reference import ReferenceCompute

__all__ = ["Kernels", "choose_compute"]

Kernels = Literal["auto", "fast", "reference"]


def choose_compute(encoder: nn.Module, kernels: Kernels = "auto") -> EncoderCompute:
    """The computation of an encoder.

    Args:
        encoder: a transformers encoder.
        kernels: as `compute.kernels` in a config.
    """
    return ReferenceCompute(encoder)
