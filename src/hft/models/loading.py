"""Loading a text embedding model: from a declaration (`load_text_model`) or as a folder says (`load_saved_model`)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from hft.errors import ConfigError, ModelError
from hft.models.clip_loading import load_clip
from hft.models.clip_saving import is_clip_folder
from hft.models.embedding import TextEmbeddingModel
from hft.models.encoder_checks import check_encoder
from hft.models.encoders import (
    load_encoder,
    load_tokenizer,
    position_capacity,
    stated_positions,
)
from hft.models.head_loading import add_dense, load_head
from hft.models.image_text import ImageTextModel
from hft.models.pooling import Normalize, Pooling
from hft.models.sentence import PoolingLayout, TowerLayout, read_layout
from hft.models.sources import find_model
from hft.models.texts_file import read_texts_file
from hft.models.towers import TextTower

__all__ = ["load_saved_model", "load_text_model"]

# Tokenizers without a limit of their own say a number far above any encoder's.
_NO_LIMIT = 1_000_000


PoolingChoice = Literal["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "pooler"]


@dataclass(frozen=True)
class _Wishes:
    """What the declaration asks of each tower; None leaves it to the folder."""

    pooling: PoolingChoice | None = None
    normalize: bool | None = None
    dense_dim: int | None = None
    max_length: int | None = None
    dropout: float | None = None


def load_text_model(
    source: str = "packaged:all-MiniLM-L6-v2",
    revision: str | None = None,
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None,
    shared: bool = True,
    items_source: str | None = None,
    items_revision: str | None = None,
    pooling: PoolingChoice | None = None,
    normalize: bool | None = None,
    dense_dim: Annotated[int, Field(ge=1)] | None = None,
    query_prompt: str | None = None,
    item_prompt: str | None = None,
    similarity: Literal["cosine", "dot", "euclidean"] | None = None,
    max_length: Annotated[int, Field(ge=4)] | None = None,
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None,
) -> TextEmbeddingModel:
    """Loads a model for fine-tuning, in eval mode, on the CPU, in float32.

    None always means: as the model's folder says, and where it says nothing, mean pooling (the last token of a causal
    language model), normalised, no dense layer, no prompts, and the longest text that tokenizer and positions take.
    Code that comes with a model is never run, and weights that are not safetensors are never read.

    Args:
        source: `packaged:NAME`, a folder (an encoder's or a sentence-transformers one), or a hub id `owner/name`.
        revision: commit, tag or branch of a hub id; required there, ignored elsewhere.
        sha256: checksum that model.safetensors of `source` must have. Packaged models are always verified.
        shared: one tower for queries and items; false gives the items tower parameters of its own. A folder that holds
            two towers gives two, whatever is said here.
        items_source: where the items tower comes from when it is not shared; None copies the query tower.
        items_revision: as `revision`, for `items_source`.
        pooling: how tokens become a text (hft.models.pooling.Pooling), or the encoder's trained `pooler` on the first
            token.
        normalize: whether vectors get length 1.
        dense_dim: adds a linear layer to so many dimensions after pooling (drawn from torch's global seed).
        query_prompt: text put before each query.
        item_prompt: text put before each item.
        similarity: by which the folder's vectors are to be compared; it must be the ranker's.
        max_length: tokens of a text at most, special tokens and prompt in.
        dropout: for every dropout of the encoder; None keeps what its config says.

    Raises:
        ModelError: the model is not there, not complete, not safetensors, not what the checksum says, or cannot do
            what is asked of it.
        ConfigError: arguments that do not go together.
    """
    if items_source is not None and shared:
        raise ConfigError(
            f"model.items_source={items_source} needs model.shared=false: a shared tower has one source only."
        )
    folder = find_model(source, revision, sha256)
    if is_clip_folder(folder):
        raise ModelError(
            f"{folder}: holds a CLIP, which is no text model. Choose model=clip with method=default and a source of "
            "pictures."
        )
    layout = read_layout(folder)
    wishes = _Wishes(pooling, normalize, dense_dim, max_length, dropout)
    query = _build_tower(layout.query, wishes, layout.words.truncate_dim)
    items: TextTower | None
    words_of_items = layout.words
    if layout.items is not None:
        if items_source is not None:
            raise ConfigError(
                f"model.items_source={items_source}: the folder {folder} holds two towers already. Leave it out, or "
                "give a source with one tower."
            )
        items = _build_tower(layout.items, wishes, layout.words.truncate_dim)
    elif items_source is not None:
        items_layout = read_layout(find_model(items_source, items_revision))
        words_of_items = items_layout.words
        items = _build_tower(items_layout.items or items_layout.query, wishes, words_of_items.truncate_dim)
    else:
        items = None if shared else query.copy()
    model = TextEmbeddingModel(
        items_tower=query if items is None else items,
        query_tower=None if items is None else query,
        query_prompt=layout.words.query_prompt(query_prompt),
        item_prompt=words_of_items.item_prompt(item_prompt),
        words=layout.words if similarity is None else replace(layout.words, similarity=similarity),
    ).eval()
    model.texts = read_texts_file(folder)
    return model


def load_saved_model(
    folder: str | os.PathLike[str],
    *,
    max_length: int | None = None,
    dropout: float | None = None,
    similarity: Literal["cosine", "dot", "euclidean"] | None = None,
) -> TextEmbeddingModel | ImageTextModel:
    """Loads what a model's `save` wrote, or any sentence-transformers text folder or CLIP folder, exactly as it says.

    Towers, pooling, dense layers, normalisation and prompts are the folder's; only what is no part of the tuned
    weights can be asked for.

    Args:
        folder: of the model.
        max_length, dropout, similarity: as in `load_text_model`; None: as the folder says.

    Raises:
        ModelError: there is no such folder, or it is no model that hft can load.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ModelError(f"{path}: no such folder. Give the folder of a saved model (it holds modules.json).")
    if is_clip_folder(path):
        return load_clip(str(path), max_length=max_length, dropout=dropout)
    return load_text_model(source=str(path), max_length=max_length, dropout=dropout, similarity=similarity)


def _build_tower(layout: TowerLayout, wishes: _Wishes, truncate_dim: int | None) -> TextTower:
    words = layout.transformer
    encoder: Any = load_encoder(layout.folder, wishes.dropout, words.config_arguments)
    tokenizer = load_tokenizer(layout.folder, words.lower_case, words.tokenizer_arguments)
    check_encoder(layout.folder, encoder, tokenizer)
    pooling = layout.pooling or PoolingLayout()
    if wishes.pooling is not None:
        prompt = isinstance(pooling, str) or pooling.include_prompt
        pooling = "pooler" if wishes.pooling == "pooler" else PoolingLayout((wishes.pooling,), prompt)
    modules = load_head(encoder, layout.folder, pooling, layout.head or ())
    if wishes.normalize is not None or layout.head is None:
        while modules and isinstance(modules[-1], Normalize):
            modules.pop()
        if wishes.normalize is not False:
            modules.append(Normalize())
    if wishes.dense_dim is not None:
        add_dense(modules, encoder, pooling, wishes.dense_dim)
    capacity = position_capacity(encoder)
    return TextTower(
        encoder,
        tokenizer,
        pooling=Pooling(("cls",)) if isinstance(pooling, str) else Pooling(pooling.modes, pooling.include_prompt),
        projections=modules,
        max_length=_max_length(wishes.max_length, layout, tokenizer, encoder, capacity),
        capacity=capacity,
        truncate_dim=truncate_dim,
        lower_case=words.lower_case,
    ).eval()


def _max_length(wish: int | None, layout: TowerLayout, tokenizer: Any, encoder: Any, capacity: int | None) -> int:
    if wish is not None:
        if capacity is not None and wish > capacity:
            raise ModelError(f"model.max_length={wish}: the positions of {layout.folder} end at {capacity} tokens.")
        return wish
    said = layout.transformer.max_length
    if said is None:
        stated = stated_positions(encoder)
        said = min(int(tokenizer.model_max_length), _NO_LIMIT if stated is None else stated)
    if capacity is not None:
        return min(said, capacity)
    if said >= _NO_LIMIT:
        raise ModelError(
            f"{layout.folder}: neither its files nor the positions of {type(encoder).__name__} say how long a text may "
            "be. Say it: model.max_length=512 (tokens; longer texts are cut, and memory grows in proportion)."
        )
    return said
