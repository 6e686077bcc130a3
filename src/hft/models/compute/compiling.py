"""Handing an encoder's layers to torch.compile."""

from __future__ import annotations

import os
import shutil

from torch import nn

from hft.errors import ConfigError
from hft.models.layers import encoder_layers

__all__ = ["compile_layers"]

_CPP_COMPILERS = ("g++", "clang++", "c++")


def compile_layers(encoder: nn.Module) -> None:
    """Has each layer of an encoder compiled when it is first called, for texts of any length and number.

    Weights keep their names, and copies of the encoder are not compiled.

    Raises:
        ConfigError: the encoder is on a CPU and there is no C++ compiler.
    """
    if next(encoder.parameters()).device.type == "cpu" and not _has_cpp_compiler():
        raise ConfigError(
            "compute.compile=true: on a CPU torch.compile needs a C++ compiler, and there is none (looked for "
            f"{', '.join(_CPP_COMPILERS)} and the variable CXX). Install one, or set compute.compile=false."
        )
    for layer in encoder_layers(encoder):
        layer.compile(dynamic=True)


def _has_cpp_compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else _CPP_COMPILERS))
