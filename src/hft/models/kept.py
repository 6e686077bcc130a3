"""What a tower asks of a store of what its fixed layers give."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hft.models.packed import PackedTexts

__all__ = ["KeptActivations"]


class KeptActivations(Protocol):
    """What the first layers of one tower give for texts that are known by their keys.

    Attributes:
        cut: after so many layers.
    """

    cut: int

    def hidden(self, tokens: PackedTexts, length: int, device: torch.device) -> Tensor | None:
        """[texts, length, width] at the cut, past a text's end any finite numbers; None: not of all these texts.

        Args:
            tokens: of the texts, with keys.
            length: tokens to which they are padded.
            device: to compute on.
        """
        ...

    def pooled(self, tokens: PackedTexts, device: torch.device) -> Tensor | None:
        """float32 [texts, width], pooled, where nothing of the encoder moves; None: not of all these texts."""
        ...
