"""Methods: what is learned from what. A method is declared in conf/method/NAME.yaml."""

from __future__ import annotations

from hft.methods.base import FineTuningMethod, PluginMeta
from hft.methods.embeddings import EmbeddingsMethod

__all__ = ["EmbeddingsMethod", "FineTuningMethod", "PluginMeta"]
