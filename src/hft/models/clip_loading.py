"""A text-to-picture model: small towers from scratch (`build_clip`), or a CLIP that others trained (`load_clip`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field

from hft.errors import ConfigError, ModelError
from hft.models.caption_words import BEGIN, END, PAD
from hft.models.clip_saving import is_clip_folder
from hft.models.clip_towers import CaptionTower, PictureTower
from hft.models.encoders import check_weights, load_tokenizer, loading_errors, quiet_transformers
from hft.models.image_text import ImageTextModel
from hft.models.picture_changes import PictureChanges
from hft.models.pictures import PicturePreparation, read_preparation
from hft.models.sources import find_model, require_safetensors

__all__ = ["build_clip", "load_clip"]

# Tokens that the specials and the letters need.
_SMALLEST_VOCABULARY = 256


def build_clip(
    image_size: Annotated[int, Field(ge=8, le=1024)] = 72,
    patch_size: Annotated[int, Field(ge=2)] = 12,
    vision_layers: Annotated[int, Field(ge=1)] = 4,
    vision_width: Annotated[int, Field(ge=8)] = 128,
    vision_heads: Annotated[int, Field(ge=1)] = 4,
    text_layers: Annotated[int, Field(ge=1)] = 2,
    text_width: Annotated[int, Field(ge=8)] = 128,
    text_heads: Annotated[int, Field(ge=1)] = 4,
    vocabulary_size: Annotated[int, Field(ge=_SMALLEST_VOCABULARY)] = 4096,
    max_length: Annotated[int, Field(ge=4)] = 32,
    dim: Annotated[int, Field(ge=2)] = 128,
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0,
    shift: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0,
    zoom: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0,
) -> ImageTextModel:
    """Two towers with weights drawn from torch's global seed: a CLIP with nothing learnt yet.

    Its tokenizer is learnt from the training captions (hft.models.caption_words): method=default sees to that.

    Source: Radford et al., "Learning transferable visual models from natural language supervision", 2021.

    Args:
        image_size: pixels of an edge; pictures are brought to it.
        patch_size: pixels of a patch's edge; image_size is a multiple of it.
        vision_layers, vision_width, vision_heads: of the vision transformer.
        text_layers, text_width, text_heads: of the text transformer.
        vocabulary_size: tokens at most.
        max_length: tokens of a text at most.
        dim: width of the vectors.
        dropout: of the attention.
        shift: share of an edge by which a picture is moved at most in a training step, each way.
        zoom: share of its size by which it grows or shrinks at most.

    Raises:
        ConfigError: sizes that do not go together.
    """
    from transformers import CLIPConfig, CLIPModel

    for what, whole, part in (
        ("model.image_size", image_size, ("model.patch_size", patch_size)),
        ("model.vision_width", vision_width, ("model.vision_heads", vision_heads)),
        ("model.text_width", text_width, ("model.text_heads", text_heads)),
    ):
        if whole % part[1]:
            raise ConfigError(f"{what}={whole} is no multiple of {part[0]}={part[1]}. Choose one that is.")
    text = {
        "vocab_size": vocabulary_size,
        "hidden_size": text_width,
        "intermediate_size": 4 * text_width,
        "num_hidden_layers": text_layers,
        "num_attention_heads": text_heads,
        "max_position_embeddings": max_length,
        "attention_dropout": dropout,
        "pad_token_id": PAD,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
    }
    vision = {
        "image_size": image_size,
        "patch_size": patch_size,
        "hidden_size": vision_width,
        "intermediate_size": 4 * vision_width,
        "num_hidden_layers": vision_layers,
        "num_attention_heads": vision_heads,
        "attention_dropout": dropout,
    }
    clip: Any = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=dim))
    return _model(clip, None, max_length, PicturePreparation(image_size, image_size), PictureChanges(shift, zoom))


def load_clip(
    source: str,
    revision: str | None = None,
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None,
    max_length: Annotated[int, Field(ge=4)] | None = None,
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None,
    background: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)] | None = None,
    shift: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0,
    zoom: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0,
) -> ImageTextModel:
    """Loads a CLIP of transformers for fine-tuning, in eval mode, on the CPU, in float32.

    Code that comes with a model is never run, and weights that are not safetensors are never read.

    Args:
        source: a folder (as transformers or hft saves a CLIP), or a hub id `owner/name`.
        revision: commit, tag or branch of a hub id; required there, ignored elsewhere.
        sha256: checksum that model.safetensors must have.
        max_length: tokens of a text at most; None: as many as the text tower takes.
        dropout: of the attention; None keeps what its config says.
        background: red, green, blue of what shows through transparent pictures; None: as the folder says, or white.
        shift: share of an edge by which a picture is moved at most in a training step, each way.
        zoom: share of its size by which it grows or shrinks at most.

    Raises:
        ModelError: the model is not there, not complete, not safetensors, not what the checksum says, or no CLIP.
        ConfigError: a hub id without a revision.
    """
    from transformers import CLIPConfig, CLIPModel

    folder = find_model(source, revision, sha256)
    require_safetensors(folder)
    if not is_clip_folder(folder):
        raise ModelError(
            f"{folder}: holds no CLIP (config.json with model_type clip). For a text model choose model=local with "
            "method=text_embeddings."
        )
    with quiet_transformers(), loading_errors(folder, "model"):
        config = CLIPConfig.from_pretrained(folder, local_files_only=True)
        parts: tuple[Any, Any] = (config.text_config, config.vision_config)
        for part in parts:
            if dropout is not None:
                part.attention_dropout = dropout
        loaded: Any = CLIPModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    clip, report = loaded
    check_weights(folder, clip, set(report["missing_keys"]), report.get("mismatched_keys") or ())
    capacity = int(clip.config.text_config.max_position_embeddings)
    if max_length is not None and max_length > capacity:
        raise ModelError(f"model.max_length={max_length}: the positions of {folder} end at {capacity} tokens.")
    preparation = read_preparation(folder, int(clip.config.vision_config.image_size))
    if background is not None:
        preparation = replace(preparation, background=(background[0], background[1], background[2]))
    # A model that was saved before it had learnt its words has none to load.
    is_unlearnt = not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file()
    tokenizer = None if is_unlearnt and _learns_words(clip) else load_tokenizer(folder, lower_case=False)
    return _model(clip, tokenizer, max_length or capacity, preparation, PictureChanges(shift, zoom))


def _learns_words(clip: Any) -> bool:
    config = clip.config.text_config
    return (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (PAD, BEGIN, END)


def _model(
    clip: Any, tokenizer: Any, max_length: int, preparation: PicturePreparation, changes: PictureChanges
) -> ImageTextModel:
    texts = CaptionTower(clip.text_model, clip.text_projection, tokenizer, max_length)
    pictures = PictureTower(clip.vision_model, clip.visual_projection, preparation, changes)
    return ImageTextModel(texts, pictures, float(clip.logit_scale.detach())).eval()
