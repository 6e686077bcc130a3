"""The layers of an encoder, numbered from the input, and fixing the first of them."""

from __future__ import annotations

from torch import Tensor, nn

from hft.errors import ConfigError, ModelError

__all__ = ["count_fixed_layers", "count_layers", "encoder_layers", "fix_first_layers", "parameters_by_place"]

# What stands after the last layer. All else outside the layers feeds the first one (embeddings, their norms and
# projections, relative positions) and is fixed with it.
_AFTER_THE_LAYERS = frozenset({"final_norm", "final_layer_norm", "final_layernorm", "ln_f", "post_layernorm"})


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
        f"The layers of {type(encoder).__name__} cannot be told apart: there is no list of {count} layers in it "
        "(ALBERT's share their weights)."
    )


def count_layers(encoder: nn.Module) -> int:
    """How many layers a text passes, whether or not they share their weights."""
    return int(encoder.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]


def fix_first_layers(encoder: nn.Module, num_fixed_layers: int) -> None:
    """Fixes the first layers' parameters and, with 1 or more, all that feeds them. Lets all others move.

    An encoder's own pooler never moves: hft's pooling does not read it.

    Raises:
        ConfigError: some of the layers, but not all, where they cannot be told apart.
    """
    encoder.requires_grad_(True)
    pooler = getattr(encoder, "pooler", None)
    if isinstance(pooler, nn.Module):
        pooler.requires_grad_(False)
    if num_fixed_layers == 0:
        return
    try:
        layers = encoder_layers(encoder)
    except ModelError as error:
        if num_fixed_layers < count_layers(encoder):
            raise ConfigError(
                f"params.num_fixed_layers={num_fixed_layers}: {error} Set it to 0 (fix nothing) or to "
                f"{count_layers(encoder)} (fix the whole encoder)."
            ) from error
        encoder.requires_grad_(False)
        return
    in_layers = {id(parameter) for parameter in layers.parameters()}
    moving = {id(parameter) for layer in layers[num_fixed_layers:] for parameter in layer.parameters()}
    for name, parameter in encoder.named_parameters():
        stands_after = id(parameter) not in in_layers and not set(name.split(".")).isdisjoint(_AFTER_THE_LAYERS)
        if id(parameter) not in moving and not stands_after:
            parameter.requires_grad_(False)


def parameters_by_place(encoder: nn.Module) -> tuple[dict[str, Tensor], list[dict[str, Tensor]], dict[str, Tensor]]:
    """An encoder's parameters and buffers by name: what feeds the layers, each layer, and what stands after them.

    An encoder's own pooler, which hft does not read, is in none of them.

    Raises:
        ModelError: the layers cannot be told apart.
    """
    layers = encoder_layers(encoder)
    in_layers = [{**dict(layer.named_parameters()), **dict(layer.named_buffers())} for layer in layers]
    known = {id(tensor) for layer in in_layers for tensor in layer.values()}
    before: dict[str, Tensor] = {}
    after: dict[str, Tensor] = {}
    for name, tensor in (*encoder.named_parameters(), *encoder.named_buffers()):
        parts = name.split(".")
        if id(tensor) in known or parts[0] == "pooler":
            continue
        (before if _AFTER_THE_LAYERS.isdisjoint(parts) else after)[name] = tensor
    return before, in_layers, after


def count_fixed_layers(encoder: nn.Module) -> tuple[int, bool]:
    """How many first layers are fixed together with all that feeds them, and whether all of the encoder is.

    Raises:
        ModelError: the layers cannot be told apart.
    """
    before, layers, after = parameters_by_place(encoder)
    if any(tensor.requires_grad for tensor in before.values()):
        return 0, False
    moving = [any(tensor.requires_grad for tensor in layer.values()) for layer in layers]
    count = moving.index(True) if True in moving else len(layers)
    return count, count == len(layers) and not any(tensor.requires_grad for tensor in after.values())
