"""Folders in sentence-transformers' layout: what their files say, key by key, without that package and without torch.

Every key that sentence-transformers 6.2 gives a meaning is honoured or refused by name; one that it does not know
either is refused, for nobody can tell what it should do.
"""

from hft.models.sentence.head import (
    DenseLayout,
    DropoutLayout,
    HeadLayout,
    NormalizeLayout,
    NormLayout,
    PoolingLayout,
)
from hft.models.sentence.layout import ModelLayout, TowerLayout, read_layout
from hft.models.sentence.model_words import ModelWords
from hft.models.sentence.transformer import TransformerLayout

__all__ = [
    "DenseLayout",
    "DropoutLayout",
    "HeadLayout",
    "ModelLayout",
    "ModelWords",
    "NormLayout",
    "NormalizeLayout",
    "PoolingLayout",
    "TowerLayout",
    "TransformerLayout",
    "read_layout",
]
