"""The token budget and the graph tokens that the memory of a device allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from hft.errors import ModelError
from hft.models.compute.host_memory import host_memory
from hft.models.layers import encoder_layers
from hft.settings import ComputeSettings

__all__ = ["BudgetedTower", "automatic_graph_tokens", "automatic_token_budget", "budget_of", "bytes_a_token"]

# Chunks beyond this are no faster: on a two-core CPU the caches are small, on a GPU the units are all busy.
_LARGEST_CHUNK = {"cpu": 8192, "cuda": 32768}
_SMALLEST_CHUNK = 256
# Of the whole memory, what a chunk may take: it is computed beside the activations that are kept.
_SHARE_OF_A_CHUNK = 1 / 8
# Of the memory that is free, what activations may take. A CPU's is shared with others, and running out of it kills the
# process; a GPU is the run's own, and a step that does not fit is run again with less.
_SHARE_OF_THE_GRAPH = {"cpu": 0.5, "cuda": 0.7}
# A weight that moves has a gradient and two moments beside it, in float32.
_BYTES_BESIDE_A_WEIGHT = 12


class BudgetedTower(Protocol):
    """What must be known of a tower to tell what its tokens cost: a text's, or the patches of a picture."""

    encoder: nn.Module

    @property
    def config(self) -> Any: ...

    @property
    def width(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def max_length(self) -> int: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


def budget_of(towers: Sequence[BudgetedTower], settings: ComputeSettings, precision: str) -> tuple[int, int]:
    """(token budget, graph tokens) of a model, each as the settings say or else by the memory of the device.

    Args:
        towers: of the model, on their device; which of their weights move is decided.
        settings: the `compute` node of a config.
        precision: Lightning's word for the run's precision.
    """
    number = 2 if precision.startswith("bf16") else 4
    tokens, kept = settings.token_budget, settings.graph_tokens
    if tokens == "auto":
        tokens = automatic_token_budget(towers, bytes_a_number=number)
    if kept == "auto":
        again = settings.gradient_checkpointing
        kept = automatic_graph_tokens(towers, token_budget=tokens, bytes_a_number=number, layer_inputs_only=again)
    return tokens, kept


def bytes_a_token(tower: BudgetedTower, *, bytes_a_number: int, layers: int, layer_inputs_only: bool = False) -> int:
    """Bytes of activations that a padded token keeps for the backward pass, about and rather too many.

    A layer of width h, with a feed-forward network of width f and a heads, keeps for each token of a text of n tokens
    h * (28 + 4c) + 2c * f + 12 * a * n bytes, c the bytes of a number: two norms with their inputs in float32 and four
    masks of dropout (28h), the inputs of the products, the feed-forward network before and after its activation, and
    on a CPU, where attention with dropout is written out, the scores, their softmax and its mask. Measured with BERT's
    layers as transformers has them, it is within 5%; hft's own layers keep about 60% of it. The form is that of
    Korthikanti et al., "Reducing activation recomputation in large transformer models", 2022, equation 1. For n half
    the longest text is taken.

    Args:
        tower: whose tokens.
        bytes_a_number: of the type that layers are computed in.
        layers: that keep activations.
        layer_inputs_only: whether layers are computed again from their inputs.
    """
    config, width = tower.config, tower.width
    if layer_inputs_only:
        return layers * width * bytes_a_number
    feed_forward = getattr(config, "intermediate_size", None) or 4 * width
    a_layer = width * (28 + 4 * bytes_a_number) + 2 * bytes_a_number * feed_forward
    if tower.device.type == "cpu":
        a_layer += 12 * int(getattr(config, "num_attention_heads", 1)) * tower.max_length // 2
    return layers * a_layer


def automatic_token_budget(towers: Sequence[BudgetedTower], *, bytes_a_number: int) -> int:
    """Padded tokens to compute at once: a power of two that the machine and the model alone decide on.

    What is free at the moment has no part in it on a CPU, so that a run can be repeated to the last bit.

    Args:
        towers: of the model, on their device.
        bytes_a_number: of the type that layers are computed in.
    """
    device = towers[0].device
    total = host_memory().total if device.type != "cuda" else torch.cuda.get_device_properties(device).total_memory
    worst = max(
        bytes_a_token(tower, bytes_a_number=bytes_a_number, layers=tower.config.num_hidden_layers) for tower in towers
    )
    tokens, fitting = _LARGEST_CHUNK.get(device.type, 4096), total * _SHARE_OF_A_CHUNK / worst
    while tokens > max(fitting, _SMALLEST_CHUNK):
        tokens //= 2
    return tokens


def automatic_graph_tokens(
    towers: Sequence[BudgetedTower], *, token_budget: int, bytes_a_number: int, layer_inputs_only: bool = False
) -> int:
    """Padded tokens of a step whose activations the free memory of the device holds, beside one chunk; at least 0.

    Args:
        towers: of the model, on their device; which of their weights move is decided.
        token_budget: padded tokens computed at once.
        bytes_a_number: of the type that layers are computed in.
        layer_inputs_only: whether layers are computed again from their inputs.
    """
    device = towers[0].device
    worst = max(
        bytes_a_token(
            tower, bytes_a_number=bytes_a_number, layers=_learning_layers(tower), layer_inputs_only=layer_inputs_only
        )
        for tower in towers
    )
    moving = sum(weight.numel() for tower in towers for weight in tower.parameters() if weight.requires_grad)
    memory = _free(device) * _SHARE_OF_THE_GRAPH.get(device.type, 0.5) - moving * _BYTES_BESIDE_A_WEIGHT
    return max(0, int(memory / max(worst, 1)) - token_budget)


def _learning_layers(tower: BudgetedTower) -> int:
    """Layers from the first one with a weight that moves; all of them where the embeddings move."""
    try:
        layers = encoder_layers(tower.encoder)
    except ModelError:  # one layer that is used again and again
        return int(tower.config.num_hidden_layers)
    inside = {id(weight) for weight in layers.parameters()}
    if any(weight.requires_grad and id(weight) not in inside for weight in tower.encoder.parameters()):
        return len(layers)
    for place, layer in enumerate(layers):
        if any(weight.requires_grad for weight in layer.parameters()):
            return len(layers) - place
    return 0


def _free(device: torch.device) -> int:
    """Bytes; on a GPU with what torch's own allocator holds and does not use."""
    if device.type != "cuda":
        return host_memory().available
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused
