"""The text-to-picture model: a tower for texts, a tower for pictures, one space of vectors."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hft.errors import ConfigError
from hft.models.automatic_budget import budget_of
from hft.models.budget import ComputeBudget
from hft.models.clip_saving import save_clip
from hft.models.clip_towers import CaptionTower, PictureTower
from hft.models.compute import compile_layers
from hft.models.embedding import Side
from hft.models.fingerprint import weights_fingerprint
from hft.models.layers import encoder_layers, fix_first_layers
from hft.models.packed import PackedTexts
from hft.models.pictures import PackedPictures
from hft.settings import ComputeSettings

__all__ = ["ImageTextModel"]

# Texts or pictures that `encode` holds at once.
_AT_ONCE = 256


class ImageTextModel(nn.Module):
    """Texts (queries) and pictures (items) in, vectors of length 1 out.

    Args:
        query_tower: of texts.
        items_tower: of pictures.
        logit_scale: of the CLIP that the towers come from; kept for whoever loads the model with transformers, while
            hft's losses have a temperature of their own.

    Attributes:
        fingerprint: SHA-256 of the weights as they were when the model was made.
        budget: of tokens and patches computed and kept at once, of both towers together.
    """

    shared = False

    def __init__(self, query_tower: CaptionTower, items_tower: PictureTower, logit_scale: float) -> None:
        super().__init__()
        self.items_tower = items_tower
        self.query_tower = query_tower
        self.logit_scale = logit_scale
        self.budget = ComputeBudget()
        for tower in self.towers:
            tower.budget = self.budget
        self.fingerprint = weights_fingerprint(self)

    @property
    def towers(self) -> tuple[CaptionTower, PictureTower]:
        """(query, items)."""
        return self.query_tower, self.items_tower

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.items_tower.dim

    @property
    def num_layers(self) -> int:
        """Layers of the shallower tower."""
        return min(len(self.layers(tower)) for tower in self.towers)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.items_tower.device

    def tower(self, side: Side) -> CaptionTower | PictureTower:
        """The tower of a side."""
        return self.query_tower if side == "query" else self.items_tower

    def layers(self, tower: CaptionTower | PictureTower) -> nn.ModuleList:
        """The layers of a tower's encoder, numbered from the input."""
        return encoder_layers(tower.encoder)

    def tokenize(self, texts: Sequence[str], side: Side) -> list[np.ndarray]:
        """int32[tokens] a text, truncated to the tower's `max_length`.

        Raises:
            ConfigError: texts for the tower that takes pictures.
        """
        if side == "items":
            raise ConfigError(
                "model: the items of this one are pictures, and those of the data are texts. Choose method=default "
                "with a source of pictures, or a text model (model=minilm)."
            )
        return self.query_tower.tokenize(texts)

    def embed(self, inputs: PackedTexts | PackedPictures, side: Side, max_tokens: int | None = None) -> Tensor:
        """Differentiable float32 vectors [texts or pictures, dim], in their order.

        Args:
            inputs: tokens of texts for `query`, pictures for `items`.
            side: `query` or `items`.
            max_tokens: tokens or patches computed at once; None: the budget's.
        """
        tower: Any = self.tower(side)
        if torch.is_grad_enabled():
            embedded: Tensor = tower.embed(inputs, max_tokens)
        else:
            embedded = self.budget.within_memory(lambda: tower.embed(inputs, max_tokens))
        return embedded

    def embed_step(self, queries: PackedTexts, items: PackedPictures) -> tuple[Tensor, Tensor]:
        """Vectors of both sides of a training step, [queries, dim] and [items, dim], kept within one budget."""
        allowance = self.budget.allowance()
        embedded = self.query_tower.embed(queries, allowance=allowance)
        return embedded, self.items_tower.embed(items, allowance=allowance)

    def padding(self, queries: PackedTexts, items: PackedPictures) -> float:
        """Share of padding, 0..1, among all tokens and patches that a step computes; pictures have none."""
        padded = sum(self.query_tower.padded_length(length) for length in queries.lengths.tolist())
        patches = len(items) * self.items_tower.tokens_a_picture
        return 1.0 - (len(queries.flat) + patches) / max(padded + patches, 1)

    def forward(self, inputs: PackedTexts | PackedPictures, side: Side) -> Tensor:
        """The same as `embed`, so that module wrappers work."""
        return self.embed(inputs, side)

    def encode(
        self, texts: Sequence[str], side: Side, *, progress: Callable[[int], object] | None = None
    ) -> np.ndarray:
        """float32[texts, dim] vectors, without gradients and without dropout.

        Args:
            texts: texts for `query`; files of pictures for `items`, relative ones from the current folder.
            side: `query` or `items`.
            progress: called with the number done since the last call.

        Raises:
            DataError: a file is not there, or no picture.
        """
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        training = [module for module in self.modules() if module.training]
        self.eval()
        try:
            with torch.inference_mode():
                for start in range(0, len(texts), _AT_ONCE):
                    part = texts[start : start + _AT_ONCE]
                    vectors[start : start + len(part)] = self.embed(self._inputs(part, side), side).cpu().numpy()
                    if progress is not None:
                        progress(len(part))
        finally:
            for module in training:
                module.training = True
        return vectors

    def _inputs(self, texts: Sequence[str], side: Side) -> PackedTexts | PackedPictures:
        if side == "query":
            return PackedTexts.of(self.tokenize(texts, "query"))
        return PackedPictures(np.stack([self.items_tower.preparation.pixels(Path(text)) for text in texts]))

    def compute_with(
        self, settings: ComputeSettings, *, precision: str = "32-true", say: Callable[[str], object] | None = None
    ) -> None:
        """How the layers are computed from now on, and in how much memory. Nothing else of the model changes.

        Args:
            settings: the `compute` node of a config.
            precision: Lightning's word for the run's precision.
            say: takes a line for the person who waits.

        Raises:
            ConfigError: hft's own layers are asked for, and there are none for CLIP.
        """
        if settings.kernels in ("fast", "torch"):
            raise ConfigError(
                f"compute.kernels={settings.kernels}: hft has no layers of its own for CLIP. Set compute.kernels=auto."
            )
        for tower in self.towers:
            encoder: Any = tower.encoder
            if settings.gradient_checkpointing:
                encoder.activation_checkpointing_enable({"use_reentrant": False})
            else:
                encoder.activation_checkpointing_disable()
            if settings.compile:
                compile_layers(tower.encoder)
        self.budget.say = say
        self.budget.token_budget, self.budget.graph_tokens = budget_of(self.towers, settings, precision)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model as a CLIP folder of transformers: `CLIPModel.from_pretrained(folder)` loads it.

        Raises:
            StorageError: the folder cannot be written, or holds something that is not a model.
        """
        save_clip(folder, query_tower=self.query_tower, items_tower=self.items_tower, logit_scale=self.logit_scale)

    def freeze(self, num_fixed_layers: int) -> None:
        """Fixes the first layers of each tower, with 1 or more what feeds them as well; all others move.

        Raises:
            ConfigError: more layers than the model has, or fewer than none.
        """
        if not 0 <= num_fixed_layers <= self.num_layers:
            raise ConfigError(
                f"params.num_fixed_layers={num_fixed_layers}: the model has {self.num_layers} layers. Choose 0 (fix "
                f"nothing) to {self.num_layers}."
            )
        for tower in self.towers:
            tower.requires_grad_(True)
            fix_first_layers(tower.encoder, num_fixed_layers)
