"""Dropout of an encoder: every probability of it, in its config and in its modules."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["set_config_dropout", "set_module_dropout"]

# Config fields whose name says dropout but that are of no encoder layer.
_NOT_OF_THE_LAYERS = ("layerdrop", "classifier", "summary", "head")


def set_config_dropout(config: Any, probability: float) -> None:
    """Sets every dropout probability of a transformers config (embeddings, hidden, attention)."""
    for name, value in vars(config).items():
        if _is_dropout(name) and isinstance(value, (int, float)) and not isinstance(value, bool):
            setattr(config, name, probability)


def set_module_dropout(module: nn.Module, probability: float) -> None:
    """Sets every dropout of a module: the Dropout modules, and the numbers that attention layers keep beside them."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = probability
            continue
        for name, value in vars(part).items():
            if _is_dropout(name) and isinstance(value, float):
                setattr(part, name, probability)


def _is_dropout(name: str) -> bool:
    is_one = "dropout" in name or name.endswith("pdrop")
    return is_one and not any(part in name for part in _NOT_OF_THE_LAYERS)
