"""Towers of texts and of pictures: loading, embedding, saving; and the rankers that compare their vectors."""

from hft.models.clip_loading import build_clip, load_clip
from hft.models.embedding import Side, TextEmbeddingModel
from hft.models.fingerprint import weights_fingerprint
from hft.models.image_text import ImageTextModel
from hft.models.loading import load_saved_model, load_text_model
from hft.models.rankers import CosineRanker, DotRanker, EuclideanRanker
from hft.models.towers import TextTower

__all__ = [
    "CosineRanker",
    "DotRanker",
    "EuclideanRanker",
    "ImageTextModel",
    "Side",
    "TextEmbeddingModel",
    "TextTower",
    "build_clip",
    "load_clip",
    "load_saved_model",
    "load_text_model",
    "weights_fingerprint",
]
