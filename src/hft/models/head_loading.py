"""The modules behind an encoder, with their weights, from what the folder says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from hft.errors import ModelError
from hft.models.pooling import Normalize, Projection
from hft.models.sentence import DenseLayout, DropoutLayout, HeadLayout, NormLayout, PoolingLayout

__all__ = ["add_dense", "load_head"]


def load_head(
    encoder: Any, folder: Path, pooling: PoolingLayout | Literal["pooler"], layouts: Sequence[HeadLayout]
) -> list[nn.Module]:
    """What follows the pooling of tokens, in order; the encoder's own pooler is the first of it.

    Args:
        encoder: of the tower.
        folder: of the encoder.
        pooling: of the tower.
        layouts: of the modules after it.

    Raises:
        ModelError: no such pooler, weights missing or damaged, widths that do not fit.
    """
    modules: list[nn.Module] = [_pooler_projection(encoder, folder)] if pooling == "pooler" else []
    width = _pooled_width(encoder, pooling)
    for layout in layouts:
        if isinstance(layout, DropoutLayout):
            modules.append(nn.Dropout(layout.probability))
        elif isinstance(layout, DenseLayout | NormLayout):
            wanted = layout.in_features if isinstance(layout, DenseLayout) else layout.dimension
            if wanted != width:
                raise ModelError(
                    f"{layout.folder / 'config.json'}: a layer for vectors of {wanted} numbers, and what comes in has "
                    f"{width}. Leave model.pooling to the folder, or correct the file."
                )
            modules.append(_dense(layout) if isinstance(layout, DenseLayout) else _norm(layout))
            width = layout.out_features if isinstance(layout, DenseLayout) else width
        else:
            modules.append(Normalize())
    return modules


def add_dense(modules: list[nn.Module], encoder: Any, pooling: PoolingLayout | Literal["pooler"], dim: int) -> None:
    """Adds a linear layer to `dim` features, before a last normalisation. Its weights are drawn from torch's seed."""
    widths = [module.out_features for module in modules if isinstance(module, Projection)]
    place = len(modules) - (bool(modules) and isinstance(modules[-1], Normalize))
    modules.insert(place, Projection(widths[-1] if widths else _pooled_width(encoder, pooling), dim))


def _pooled_width(encoder: Any, pooling: PoolingLayout | Literal["pooler"]) -> int:
    return int(encoder.config.hidden_size) * (1 if isinstance(pooling, str) else len(pooling.modes))


def _pooler_projection(encoder: nn.Module, folder: Path) -> Projection:
    """The encoder's pooler as a dense layer with tanh on the first token, which is what it is (BERT, section 3.1).

    As a layer of ours it moves with the head, and sentence-transformers' layout can hold it.
    """
    pooler = getattr(encoder, "pooler", None)
    dense, activation = getattr(pooler, "dense", None), getattr(pooler, "activation", None)
    if isinstance(pooler, nn.Linear):  # ALBERT's
        dense, activation = pooler, getattr(encoder, "pooler_activation", None)
    if not isinstance(dense, nn.Linear) or not isinstance(activation, nn.Tanh):
        raise ModelError(
            f"model.pooling=pooler: {folder} has no trained pooler (a dense layer with tanh). Choose "
            "model.pooling=mean or model.pooling=cls."
        )
    projection = Projection(dense.in_features, dense.out_features, activation="Tanh")
    projection.linear.load_state_dict(dense.state_dict())
    return projection


def _dense(layout: DenseLayout) -> Projection:
    projection = Projection(
        layout.in_features,
        layout.out_features,
        bias=layout.bias,
        activation=layout.activation,
        residual=layout.residual,
    )
    _load_weights(projection, layout.folder)
    return projection


def _norm(layout: NormLayout) -> nn.LayerNorm:
    norm = nn.LayerNorm(layout.dimension)
    _load_weights(norm, layout.folder, prefix="norm.")
    return norm


def _load_weights(module: nn.Module, folder: Path, prefix: str = "") -> None:
    """A module's weights from its folder, in float32.

    Args:
        module: to take them.
        folder: of the module.
        prefix: of their names in the file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / "model.safetensors"
    if not file.is_file():
        raise ModelError(
            f"{file}: the weights of the module are missing, or in a format that is not safetensors. Save the model "
            "again with safetensors."
        )
    try:
        state = {name.removeprefix(prefix): tensor.float() for name, tensor in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file}: is damaged ({error}). Copy the model again.") from error
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{file}: its tensors are not those that the config.json beside it speaks of ({', '.join(sorted(state))}). "
            "Give the config.json that was saved with them."
        ) from error
