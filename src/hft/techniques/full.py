"""Full fine-tuning: every weight moves, but those of the first layers if so asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import nn

from hft.errors import ConfigError
from hft.settings import FineTuningParams

__all__ = ["FullFineTuning"]


class _Freezable(Protocol):
    """What this technique needs of a model."""

    def freeze(self, num_fixed_layers: int) -> None: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


class FullFineTuning:
    """Moves all weights except the first `params.num_fixed_layers` layers (with 1 or more, the embeddings too)."""

    def apply(self, model: _Freezable, params: FineTuningParams) -> None:
        """Sets `requires_grad` of the model's parameters.

        Raises:
            ConfigError: nothing is left that moves, or there are not so many layers.
        """
        model.freeze(params.num_fixed_layers)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ConfigError(
                f"params.num_fixed_layers={params.num_fixed_layers} fixes the whole model; nothing is left to train. "
                "Fix fewer layers, or add a layer that moves (model.dense_dim)."
            )
