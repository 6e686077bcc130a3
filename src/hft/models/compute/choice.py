"""Which way of computing an encoder's layers is taken."""

from __future__ import annotations

from typing import Literal

from torch import nn

from hft.errors import ConfigError
from hft.models.compute.base import EncoderCompute
from hft.models.compute.bert import BertCompute
from hft.models.compute.reference import ReferenceCompute

__all__ = ["Kernels", "choose_compute"]

Kernels = Literal["auto", "fast", "reference"]


def choose_compute(encoder: nn.Module, kernels: Kernels = "auto") -> EncoderCompute:
    """The computation of an encoder.

    Args:
        encoder: a transformers encoder.
        kernels: as `compute.kernels` in a config.

    Raises:
        ConfigError: fast kernels are asked for, and there are none for this encoder.
    """
    if kernels != "reference" and BertCompute.knows(encoder):
        return BertCompute(encoder)
    if kernels == "fast":
        raise ConfigError(
            f"compute.kernels=fast: there are no fast kernels for {type(encoder).__name__}, only for encoders with the "
            "layers of BERT (BERT, RoBERTa, XLM-RoBERTa, MiniLM). Set compute.kernels=auto."
        )
    return ReferenceCompute(encoder)
