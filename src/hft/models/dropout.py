"""Dropout of an encoder: every probability in its config."""

from __future__ import annotations

from typing import Any

__all__ = ["set_config_dropout"]

# Config fields whose name says dropout but that are of no encoder layer.
_NOT_OF_THE_LAYERS = ("layerdrop", "classifier", "summary", "head")


def set_config_dropout(config: Any, probability: float) -> None:
    """Sets every dropout probability of a transformers config (embeddings, hidden, attention)."""
    for name, value in vars(config).items():
        if _is_dropout(name) and isinstance(value, (int, float)) and not isinstance(value, bool):
            setattr(config, name, probability)


def _is_dropout(name: str) -> bool:
    is_one = "dropout" in name or name.endswith("pdrop")
    return is_one and not any(part in name for part in _NOT_OF_THE_LAYERS)
