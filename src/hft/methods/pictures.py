"""Texts and the pictures that they ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hft.data import RankingData
from hft.errors import ConfigError
from hft.methods.embeddings import EmbeddingsMethod
from hft.methods.tokenized import TokenizedData
from hft.models import ImageTextModel
from hft.models.caption_words import caption_tokenizer
from hft.settings import FineTuningParams, FineTuningSettings
from hft.stores import StoreFolder
from hft.training import PictureStore, TokenStore
from hft.training.activations import TextUse
from hft.training.sessions import IntArray


@dataclass(frozen=True)
class PictureData(TokenizedData):
    """The prepared data with its queries tokenised, and its pictures decoded as they are asked for.

    Args:
        items: the pictures, by row of the ItemsSet.
        tokenizer: that made the tokens.
    """

    items: PictureStore  # type: ignore[assignment]
    tokenizer: Any = None

    # A picture's title is its caption, which is the query.
    has_item_texts: ClassVar[bool] = False

    @property
    def item_key(self) -> IntArray:
        """int64[items], equal for items of one picture: no negative may tell them apart."""
        return self.items.numbers


class DefaultFineTuningMethod(EmbeddingsMethod):
    """Fine-tunes a CLIP-like pair of towers so that a text finds its picture."""

    ranks_pictures = True

    def tokenize(self, model: Any, data: RankingData, folder: StoreFolder | None = None) -> PictureData:
        """Every distinct query as the model's tokens; pictures are decoded later, each once.

        A model that brings no tokenizer learns one from the training queries.

        Raises:
            ConfigError: the model takes no pictures, or the data has none.
        """
        if not isinstance(model, ImageTextModel):
            raise ConfigError(
                "method=default needs a model of texts and pictures (model=clip_small, model=clip); "
                f"found {type(model).__name__}."
            )
        without = sum(path is None for path in data.items.image_paths)
        if without:
            raise ConfigError(
                f"method=default ranks pictures, and {without:,} of {len(data.items):,} items have none. Choose a "
                "source of pictures (data=pictures), or a method for texts (method=text_embeddings)."
            )
        tower = model.query_tower
        if tower.learns_words:
            captions = list(dict.fromkeys(data.train.queries))
            tower.tokenizer = caption_tokenizer(captions, int(tower.config.vocab_size), tower.max_length)
        preparation = model.items_tower.preparation
        pictures = PictureStore(
            data.items.image_paths,
            data.items.image_hashes,
            preparation.pixels,
            size=preparation.size,
            tokens=model.items_tower.tokens_a_picture,
        )
        queries = data.query_texts.column.to_pylist()
        tokens = TokenStore.build(queries, lambda texts: model.tokenize(texts, "query"))
        found = PictureData(data, tokens, pictures, tokenizer=tower.tokenizer)
        if data.augmentation is None or not data.augmentation.do_augment_test:
            return found
        others = TokenStore.build(found.measured_variants("query"), lambda texts: model.tokenize(texts, "query"))
        return replace(found, augmented=(others, pictures))  # type: ignore[arg-type]

    def prepare_model(self, model: ImageTextModel, data: PictureData) -> None:
        """Gives a model that learns its words those that the data's tokens were made with."""
        if model.query_tower.learns_words:
            model.query_tower.tokenizer = data.tokenizer

    def text_uses(
        self, data: TokenizedData, settings: FineTuningSettings, params: FineTuningParams, *, test: bool
    ) -> list[TextUse]:
        """None: what fixed layers give for pictures is not kept."""
        return []
