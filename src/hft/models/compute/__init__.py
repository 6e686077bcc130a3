"""How the layers of an encoder are computed: as transformers has them, or by hft's own kernels."""

from __future__ import annotations

from hft.models.compute.base import EncoderCompute, Piece
from hft.models.compute.choice import choose_compute, kernels_of
from hft.models.compute.compiling import compile_layers
from hft.models.compute.reference import ReferenceCompute

__all__ = ["EncoderCompute", "Piece", "ReferenceCompute", "choose_compute", "compile_layers", "kernels_of"]
