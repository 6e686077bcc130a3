"""Where a tower can be cut: after the layers that give a text the same numbers at every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from hft.errors import ModelError
from hft.models.layers import count_fixed_layers
from hft.models.towers import TextTower
from hft.training.finetuner import set_training_mode

__all__ = ["Cut", "cut_of", "why_not_kept"]


@dataclass(frozen=True)
class Cut:
    """The fixed layers of a tower.

    Args:
        layers: how many, from the input.
        of: all layers of the tower.
        is_pooled: whether pooled vectors are kept: nothing of the encoder moves, so that a text's never changes.
    """

    layers: int
    of: int
    is_pooled: bool = False


def cut_of(tower: TextTower) -> Cut | None:
    """The cut of a tower, the weights that move already chosen; None where no layer is fixed."""
    try:
        fixed, is_whole = count_fixed_layers(tower.encoder)
        count = int(tower.config.num_hidden_layers)
    except ModelError:
        return None
    if fixed == count and not is_whole:
        fixed -= 1  # what stands after the layers moves, and counts to the last one
    # Two sides whose prompts are left out of the pooling may share a tower, and a text its tokens, but not its vector.
    return Cut(fixed, count, is_whole and tower.pooling.include_prompt) if fixed else None


def why_not_kept(model: nn.Module, tower: TextTower, cut: Cut, precision: str) -> str:
    """Why what the fixed layers give cannot stand for them, in words; empty where it can.

    Args:
        model: that the tower is of.
        tower: one of its towers.
        cut: of the tower.
        precision: Lightning's word for the run's.
    """
    kind = type(tower.encoder).__name__
    if not cut.is_pooled and not tower.compute.supports_cut(cut.layers):
        return f"the layers of {kind} cannot be computed one without the other"
    if not _is_repeatable(model, tower, cut.layers, precision):
        return f"those of {kind} draw random numbers while others train"
    return ""


def _is_repeatable(model: nn.Module, tower: TextTower, cut: int, precision: str) -> bool:
    """Whether the first layers give in training what they give in evaluation. Tried out on two short texts."""
    device = tower.device
    ids = torch.arange(5, 21, device=device).view(2, 8)
    mask = torch.ones(2, 8, dtype=torch.bool, device=device)
    modes = {module: module.training for module in model.modules()}
    devices = [device] if device.type == "cuda" else []
    try:
        bf16 = torch.autocast(device.type, torch.bfloat16, enabled=precision.startswith("bf16"))
        with torch.no_grad(), torch.random.fork_rng(devices), bf16:
            found = []
            for prepare in (model.eval, lambda: set_training_mode(model), lambda: set_training_mode(model)):
                prepare()
                found.append(tower.compute.up_to(ids, mask, cut))
        return torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    finally:
        for module, mode in modes.items():
            module.training = mode
