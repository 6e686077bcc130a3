"""The layers of an encoder, numbered from the input, and fixing the first of them."""

from __future__ import annotations

from torch import nn

from hft.errors import ModelError

__all__ = ["encoder_layers", "fix_first_layers"]

# What stands after the last layer. All else outside the layers feeds the first one (embeddings, their norms and
# projections, relative positions) and is fixed with it.
_AFTER_THE_LAYERS = frozenset({"final_norm", "final_layer_norm", "final_layernorm", "ln_f"})


def encoder_layers(encoder: nn.Module) -> nn.ModuleList:
    """The encoder's list of layers: the outermost ModuleList that is as long as the config says.

    Raises:
        ModelError: there is none (ALBERT, whose layers share their weights).
    """
    count = getattr(encoder.config, "num_hidden_layers", None)
    for module in encoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ModelError(
        f"The layers of {type(encoder).__name__} cannot be told apart (no list of {count} layers in it), so that "
        "params.num_fixed_layers means nothing. Choose an encoder with layers of their own."
    )


def fix_first_layers(encoder: nn.Module, num_fixed_layers: int) -> None:
    """Fixes the first layers' parameters and, with 1 or more, all that feeds them. Lets all others move.

    An encoder's own pooler never moves: hft's pooling does not read it.
    """
    layers = encoder_layers(encoder)
    encoder.requires_grad_(True)
    pooler = getattr(encoder, "pooler", None)
    if isinstance(pooler, nn.Module):
        pooler.requires_grad_(False)
    if num_fixed_layers == 0:
        return
    in_layers = {id(parameter) for parameter in layers.parameters()}
    moving = {id(parameter) for layer in layers[num_fixed_layers:] for parameter in layer.parameters()}
    for name, parameter in encoder.named_parameters():
        stands_after = id(parameter) not in in_layers and not set(name.split(".")).isdisjoint(_AFTER_THE_LAYERS)
        if id(parameter) not in moving and not stands_after:
            parameter.requires_grad_(False)
