"""Writing a text-to-picture model as transformers writes a CLIP: config, safetensors, tokenizer, image processor."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hft.checksums import write_checksums
from hft.errors import StorageError
from hft.files import atomic_folder, storage_errors
from hft.models.clip_towers import CaptionTower, PictureTower
from hft.models.encoders import quiet_transformers
from hft.models.pictures import BACKGROUND_KEY
from hft.parsing import parse_json

__all__ = ["is_clip_folder", "save_clip"]


def is_clip_folder(folder: Path) -> bool:
    """Whether a folder holds a CLIP as transformers writes it."""
    file = folder / "config.json"
    try:
        said = parse_json(file.read_bytes()) if file.is_file() else None
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("model_type") == "clip" and "vision_config" in said


def save_clip(
    folder: str | os.PathLike[str], *, query_tower: CaptionTower, items_tower: PictureTower, logit_scale: float
) -> None:
    """Writes the folder whole or not at all; one that holds such a model already is replaced.

    Raises:
        StorageError: the folder cannot be written, or holds something that is not such a model.
    """
    target = Path(folder)
    with storage_errors(target):
        occupied = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if occupied and not is_clip_folder(target):
        raise StorageError(
            f"{target}: holds something that is not a saved model; it would be replaced whole. Choose a new folder, or "
            "empty this one."
        )
    with atomic_folder(target) as made, quiet_transformers():
        _clip_of(query_tower, items_tower, logit_scale).save_pretrained(made)
        if query_tower.tokenizer is not None:
            query_tower.tokenizer.model_max_length = query_tower.max_length
            query_tower.tokenizer.save_pretrained(made)
        said = json.dumps(_processor(items_tower), indent=2, sort_keys=True)
        (made / "preprocessor_config.json").write_text(said + "\n", encoding="utf-8")
        write_checksums(made)


def _clip_of(query_tower: CaptionTower, items_tower: PictureTower, logit_scale: float) -> Any:
    """A CLIPModel whose parts are those of the towers."""
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(
        text_config=query_tower.config.to_dict(),
        vision_config=items_tower.config.to_dict(),
        projection_dim=query_tower.dim,
    )
    with torch.device("meta"):
        clip: Any = CLIPModel(config)
    clip.text_model, clip.vision_model = query_tower.encoder, items_tower.encoder
    clip.text_projection, clip.visual_projection = query_tower.projection, items_tower.projection
    clip.logit_scale = nn.Parameter(torch.tensor(logit_scale))
    return clip


def _processor(tower: PictureTower) -> dict[str, Any]:
    preparation = tower.preparation
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": preparation.resize},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": preparation.size, "width": preparation.size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preparation.mean),
        "image_std": list(preparation.std),
        "do_convert_rgb": True,
        BACKGROUND_KEY: list(preparation.background),
    }
