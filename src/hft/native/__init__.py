"""hft's kernels in C, compiled for the processor when they are first used."""

from __future__ import annotations

from hft.native.kernels import LEVELS, Kernels
from hft.native.library import NativeUnavailableError, fingerprint_here, kernels_here

__all__ = ["LEVELS", "Kernels", "NativeUnavailableError", "fingerprint_here", "kernels_here"]
