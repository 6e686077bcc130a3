"""What the trials of one process share: prepared data, tokens, base weights. Nobody may change what is shared.

A trial with shared parts equals the same training alone to the last bit: what is shared is a function of the config
nodes in its key, models are handed out as copies, and the random generators are set anew after loading.
"""

from __future__ import annotations

import copy
import gc
import json
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

# Of each kind. Trials of a sweep seldom differ in data or base model, and both are large.
KEPT = 2


class SharedParts:
    """Parts by kind and key; of each kind the last ones used are kept.

    Args:
        kept: how many of each kind.

    Attributes:
        made: how many were made so far.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self.made = 0
        self._parts: dict[str, OrderedDict[str, Any]] = {}

    def get(self, kind: str, key: str, make: Callable[[], Any]) -> Any:
        """The part of a key, made where it is not there."""
        parts = self._parts.setdefault(kind, OrderedDict())
        if key not in parts:
            while len(parts) >= self.kept:
                parts.popitem(last=False)  # before the new one is made: two at a time are never one too many
            parts[key] = make()
            self.made += 1
        parts.move_to_end(key)
        return parts[key]

    def keep_at_least(self, count: int) -> None:
        """From now on at least so many of each kind, for trials that train on several sets of data in turn."""
        self.kept = max(self.kept, count)

    def clear(self) -> None:
        """Lets go of everything."""
        self._parts.clear()
        self.kept = KEPT


# Of this process.
shared_parts = SharedParts()


_spared = 0


def spare_what_stays() -> None:
    """After new parts were made: the collector, which each trial calls, no longer goes through what is there now.

    With all packages imported that takes 0.3 s a trial. What is there and is dropped later goes by its count of
    references, as most objects do.
    """
    global _spared
    if shared_parts.made != _spared:
        _spared = shared_parts.made
        gc.collect()
        gc.freeze()


def key_of(config: DictConfig, *names: str, **more: object) -> str:
    """A text that is the same for equal resolved nodes of a config.

    Args:
        config: the run's.
        names: dotted keys of the nodes.
        more: further plain values that decide.
    """
    nodes: dict[str, Any] = {}
    for name in names:
        node = OmegaConf.select(config, name)
        nodes[name] = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    # Relative paths in the nodes lead from here.
    return json.dumps({**nodes, **more, "folder": os.getcwd()}, sort_keys=True, default=str)


def copy_of_model(model: nn.Module) -> Any:
    """A model of the same weights with parameters of its own; its tokenizers, which hold no weights, are shared."""
    tokenizers = [module.tokenizer for module in model.modules() if hasattr(module, "tokenizer")]
    return copy.deepcopy(model, {id(tokenizer): tokenizer for tokenizer in tokenizers})


def is_copy(model: nn.Module, pristine: nn.Module) -> bool:
    """Whether a model still computes what its original does: the same modules, hooks and numbers."""
    ours, theirs = dict(model.named_modules()), dict(pristine.named_modules())
    if [(name, _nature(module)) for name, module in ours.items()] != [
        (name, _nature(module)) for name, module in theirs.items()
    ]:
        return False
    first, second = _tensors(model), _tensors(pristine)
    return first.keys() == second.keys() and all(
        torch.equal(value.detach().to(second[name].device), second[name]) for name, value in first.items()
    )


def _nature(module: nn.Module) -> tuple[type, int]:
    return type(module), len(module._forward_hooks) + len(module._forward_pre_hooks)


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
