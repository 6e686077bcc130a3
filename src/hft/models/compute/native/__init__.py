"""BERT's layer in training, in bf16 on a CPU, with kernels in C that are compiled for the processor at hand."""

from __future__ import annotations

from hft.models.compute.native.layer import NativeWeights, train_native_layer
from hft.models.compute.native.library import NativeUnavailableError, kernels_here

__all__ = ["NativeUnavailableError", "NativeWeights", "kernels_here", "train_native_layer"]
