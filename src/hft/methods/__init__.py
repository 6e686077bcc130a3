"""Methods: what is learned from what. A method is declared in conf/method/NAME.yaml."""

from __future__ import annotations

from hft.methods.base import FineTuningMethod, PluginMeta
from hft.methods.categories import CategoriesFineTuningMethod, CategoriesTextFineTuningMethod
from hft.methods.embeddings import EmbeddingsMethod
from hft.methods.pictures import DefaultFineTuningMethod

__all__ = [
    "CategoriesFineTuningMethod",
    "CategoriesTextFineTuningMethod",
    "DefaultFineTuningMethod",
    "EmbeddingsMethod",
    "FineTuningMethod",
    "PluginMeta",
]
