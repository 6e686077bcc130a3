"""Variants of the texts that training sees: other cases, misspellings, words left out, synonyms."""

from __future__ import annotations

from hft.data.augmentation.base import Augmentation, TextAugmenter
from hft.data.augmentation.cases import ChangeCases
from hft.data.augmentation.composition import Composition
from hft.data.augmentation.misspellings import Misspellings
from hft.data.augmentation.synonyms import Synonyms
from hft.data.augmentation.word_drop import WordDrop

__all__ = [
    "Augmentation",
    "ChangeCases",
    "Composition",
    "Misspellings",
    "Synonyms",
    "TextAugmenter",
    "WordDrop",
]
