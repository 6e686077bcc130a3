"""Which way of computing an encoder's layers is taken."""

from __future__ import annotations

from typing import Literal

from torch import nn

from hft.errors import ConfigError
from hft.models.compute.base import EncoderCompute
from hft.models.compute.bert import BertCompute
from hft.models.compute.reference import ReferenceCompute
from hft.settings import ComputeSettings

__all__ = ["KernelChoice", "choose_compute", "kernels_of"]

KernelChoice = Literal["auto", "fast", "torch", "reference"]


def choose_compute(encoder: nn.Module, kernels: KernelChoice = "auto") -> EncoderCompute:
    """The computation of an encoder.

    Args:
        encoder: a transformers encoder.
        kernels: as `compute.kernels` in a config.

    Raises:
        ConfigError: hft's own are asked for, and there are none for this encoder.
    """
    if kernels != "reference" and BertCompute.knows(encoder):
        return BertCompute(encoder, native=kernels != "torch")
    if kernels in ("fast", "torch"):
        raise ConfigError(
            f"compute.kernels={kernels}: hft has no layers of its own for {type(encoder).__name__}, only for encoders "
            "with the layers of BERT (BERT, RoBERTa, XLM-RoBERTa, MiniLM). Set compute.kernels=auto."
        )
    return ReferenceCompute(encoder)


def kernels_of(settings: ComputeSettings) -> KernelChoice:
    """The kernels that the settings ask for: what torch.compile gets are the layers as transformers has them.

    Raises:
        ConfigError: they ask for hft's own kernels and for torch.compile.
    """
    if not settings.compile:
        return settings.kernels
    if settings.kernels in ("fast", "torch"):
        raise ConfigError(
            "compute.compile=true compiles the layers as transformers has them, and "
            f"compute.kernels={settings.kernels} does not use those. Set one of the two only."
        )
    return "reference"
