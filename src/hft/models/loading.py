"""Loading a text embedding model: from a declaration (`load_text_model`) or as a folder says (`load_saved_model`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from hft.errors import ConfigError, ModelError
from hft.models.clip_loading import load_clip
from hft.models.clip_saving import is_clip_folder
from hft.models.embedding import TextEmbeddingModel
from hft.models.encoders import load_encoder, load_tokenizer, position_capacity
from hft.models.image_text import ImageTextModel
from hft.models.pooling import Projection
from hft.models.sentence_layout import DenseLayout, TowerLayout, read_layout
from hft.models.sources import find_model
from hft.models.towers import TextTower

__all__ = ["load_saved_model", "load_text_model"]

# Where neither the folder nor the tokenizer says how long a text may be, and positions have no end.
_FALLBACK_MAX_LENGTH = 512
# Tokenizers without a limit of their own say a number far above any encoder's.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class _Wishes:
    """What the declaration asks of each tower; None leaves it to the folder."""

    pooling: Literal["mean", "cls", "pooler"] | None = None
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
    pooling: Literal["mean", "cls", "pooler"] | None = None,
    normalize: bool | None = None,
    dense_dim: Annotated[int, Field(ge=1)] | None = None,
    query_prompt: str | None = None,
    item_prompt: str | None = None,
    max_length: Annotated[int, Field(ge=4)] | None = None,
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None,
) -> TextEmbeddingModel:
    """Loads a model for fine-tuning, in eval mode, on the CPU, in float32.

    None always means: as the model's folder says, and where it says nothing, mean pooling, normalised, no dense layer,
    no prompts, and the longest text that tokenizer and positions take. Code that comes with a model is never run, and
    weights that are not safetensors are never read.

    Args:
        source: `packaged:NAME`, a folder (an encoder's or a sentence-transformers one), or a hub id `owner/name`.
        revision: commit, tag or branch of a hub id; required there, ignored elsewhere.
        sha256: checksum that model.safetensors of `source` must have. Packaged models are always verified.
        shared: one tower for queries and items; false gives the items tower parameters of its own. A folder that holds
            two towers gives two, whatever is said here.
        items_source: where the items tower comes from when it is not shared; None copies the query tower.
        items_revision: as `revision`, for `items_source`.
        pooling: `mean` over the tokens, the first token (`cls`), or the encoder's trained `pooler` on the first token.
        normalize: whether vectors get length 1.
        dense_dim: adds a linear layer to so many dimensions after pooling (drawn from torch's global seed).
        query_prompt: text put before each query.
        item_prompt: text put before each item.
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
    query = _build_tower(layout.query, wishes)
    items: TextTower | None
    if layout.items is not None:
        if items_source is not None:
            raise ConfigError(
                f"model.items_source={items_source}: the folder {folder} holds two towers already. Leave it out, or "
                "give a source with one tower."
            )
        items = _build_tower(layout.items, wishes)
    elif items_source is not None:
        items_layout = read_layout(find_model(items_source, items_revision))
        items = _build_tower(items_layout.items or items_layout.query, wishes)
    else:
        items = None if shared else query.copy()
    return TextEmbeddingModel(
        items_tower=query if items is None else items,
        query_tower=None if items is None else query,
        query_prompt=_first(query_prompt, layout.query_prompt, ""),
        item_prompt=_first(item_prompt, layout.item_prompt, ""),
    ).eval()


def load_saved_model(
    folder: str | os.PathLike[str], *, max_length: int | None = None, dropout: float | None = None
) -> TextEmbeddingModel | ImageTextModel:
    """Loads what a model's `save` wrote, or any sentence-transformers text folder or CLIP folder, exactly as it says.

    Towers, pooling, dense layers, normalisation and prompts are the folder's; only what is no part of the tuned
    weights can be asked for.

    Args:
        folder: of the model.
        max_length, dropout: as in `load_text_model`; None: as the folder says.

    Raises:
        ModelError: there is no such folder, or it is no model that hft can load.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ModelError(f"{path}: no such folder. Give the folder of a saved model (it holds modules.json).")
    if is_clip_folder(path):
        return load_clip(str(path), max_length=max_length, dropout=dropout)
    return load_text_model(source=str(path), max_length=max_length, dropout=dropout)


def _build_tower(layout: TowerLayout, wishes: _Wishes) -> TextTower:
    encoder: Any = load_encoder(layout.folder, wishes.dropout)
    tokenizer = load_tokenizer(layout.folder, layout.lower_case)
    _check_vocabulary(layout.folder, encoder, tokenizer)
    pooling = _first(wishes.pooling, layout.pooling, "mean")
    projections = [_pooler_projection(encoder, layout.folder)] if pooling == "pooler" else []
    projections += [_load_dense(dense) for dense in layout.dense]
    if wishes.dense_dim is not None:
        width = projections[-1].linear.out_features if projections else encoder.config.hidden_size
        projections.append(Projection(width, wishes.dense_dim))
    capacity = position_capacity(encoder)
    return TextTower(
        encoder,
        tokenizer,
        pooling="mean" if pooling == "mean" else "cls",
        projections=projections,
        normalize=_first(wishes.normalize, layout.normalize, True),
        max_length=_max_length(wishes.max_length, layout, tokenizer, capacity),
        capacity=capacity,
    ).eval()


def _check_vocabulary(folder: Path, encoder: Any, tokenizer: Any) -> None:
    rows = encoder.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(
            f"{folder}: the tokenizer knows {len(tokenizer)} tokens, the model {rows}; they do not belong together. "
            "Copy the model again, whole."
        )


def _pooler_projection(encoder: nn.Module, folder: Path) -> Projection:
    """The encoder's pooler as a dense layer with tanh on the first token, which is what it is (BERT, section 3.1).

    As a layer of ours it moves with the head, and sentence-transformers' layout can hold it.
    """
    pooler = getattr(encoder, "pooler", None)
    dense, activation = getattr(pooler, "dense", None), getattr(pooler, "activation", None)
    if not isinstance(dense, nn.Linear) or not isinstance(activation, nn.Tanh):
        raise ModelError(
            f"model.pooling=pooler: {folder} has no trained pooler (a dense layer with tanh). Choose "
            "model.pooling=mean or model.pooling=cls."
        )
    projection = Projection(dense.in_features, dense.out_features, activation="tanh")
    projection.linear.load_state_dict(dense.state_dict())
    return projection


def _load_dense(layout: DenseLayout) -> Projection:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = layout.folder / "model.safetensors"
    if not file.is_file():
        raise ModelError(
            f"{file}: the weights of the dense layer are missing, or in a format that is not safetensors. Save "
            "the model again with safetensors, or copy it again."
        )
    projection = Projection(layout.in_features, layout.out_features, bias=layout.bias, activation=layout.activation)
    try:
        projection.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ModelError(f"{file}: does not fit its config.json, or is damaged. Copy the model again.") from error
    return projection


def _max_length(wish: int | None, layout: TowerLayout, tokenizer: Any, capacity: int | None) -> int:
    if wish is not None:
        if capacity is not None and wish > capacity:
            raise ModelError(f"model.max_length={wish}: the positions of {layout.folder} end at {capacity} tokens.")
        return wish
    said = layout.max_length
    if said is None and tokenizer.model_max_length < _NO_LIMIT:
        said = int(tokenizer.model_max_length)
    if said is None:
        said = capacity or _FALLBACK_MAX_LENGTH
    return said if capacity is None else min(said, capacity)


def _first(*values: Any) -> Any:
    """The first value that is not None."""
    return next(value for value in values if value is not None)
