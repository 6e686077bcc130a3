"""The two towers of a CLIP-like model: texts and pictures, to vectors of one space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from hft.errors import ConfigError
from hft.models.budget import ComputeBudget, GraphAllowance
from hft.models.packed import PackedTexts
from hft.models.picture_changes import PictureChanges
from hft.models.pictures import PackedPictures, PicturePreparation
from hft.models.tokenizing import token_lists
from hft.models.towers import moved

__all__ = ["CaptionTower", "PictureTower"]

# Texts are padded to a multiple of so many tokens: the padding stands after the token that is pooled.
_LENGTH_STEP = 8


class _Tower(nn.Module):
    """What both have: an encoder of transformers, a projection, vectors of length 1.

    Args:
        encoder: gives `pooler_output`.
        projection: from the encoder's width to the vectors'.
    """

    def __init__(self, encoder: nn.Module, projection: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = projection
        self.budget = ComputeBudget()
        # Of hft.training.activations, which keeps nothing of these towers.
        self.activations = None

    @property
    def config(self) -> Any:
        """The encoder's."""
        return self.encoder.config

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.projection.out_features

    @property
    def width(self) -> int:
        """Width of the encoder's hidden states."""
        return int(self.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.projection.weight.device

    def _vectors(self, pooled: Tensor) -> Tensor:
        """The projection and the normalisation, in float32 also under autocast."""
        with torch.autocast(pooled.device.type, enabled=False):
            return functional.normalize(self.projection(pooled.float()), dim=-1)

    def _chunk(self, compute: Callable[[Tensor], Tensor], numbers: Tensor, *, keeps_graph: bool) -> Tensor:
        """What `compute` gives; computed again in the backward pass where its activations may not be kept."""
        if keeps_graph or not torch.is_grad_enabled():
            return compute(numbers)
        again: Tensor = checkpoint(compute, numbers, use_reentrant=False)
        return again


class CaptionTower(_Tower):
    """Texts to vectors by the token that ends them (transformers' CLIPTextModel).

    Args:
        encoder: a CLIPTextModel; it is causal, so that padding after the end changes nothing.
        projection: to the vectors' width.
        tokenizer: of transformers; None: it has yet to learn its words (`learns_words`).
        max_length: tokens of a text.

    Attributes:
        learns_words: the tokenizer is learnt from the training texts (hft.models.caption_words).
    """

    def __init__(self, encoder: nn.Module, projection: nn.Linear, tokenizer: Any, max_length: int) -> None:
        super().__init__(encoder, projection)
        self.tokenizer = tokenizer
        self.learns_words = tokenizer is None
        self.max_length = max_length

    @property
    def pad_id(self) -> int:
        """The token to pad with."""
        pad = self.config.pad_token_id if self.tokenizer is None else self.tokenizer.pad_token_id
        return 0 if pad is None else int(pad)

    def tokenize(self, texts: Sequence[str]) -> list[np.ndarray]:
        """int32[tokens] for each text: special tokens in, truncated to `max_length`.

        Raises:
            ConfigError: the tokenizer has yet to learn its words.
        """
        if self.tokenizer is None:
            raise ConfigError(
                "model: this one learns its words from the training captions, and has seen none. Choose method=default "
                "with a source of pictures, or a model that brings a tokenizer (model=clip)."
            )
        return [np.asarray(text, dtype=np.int32) for text in token_lists(self.tokenizer, texts, self.max_length)]

    def padded_length(self, length: int) -> int:
        """Tokens that a text of so many is padded to."""
        return min(self.max_length, -(-length // _LENGTH_STEP) * _LENGTH_STEP)

    def embed(
        self, tokens: PackedTexts, max_tokens: int | None = None, allowance: GraphAllowance | None = None
    ) -> Tensor:
        """Differentiable float32 vectors [texts, dim], in the order of `tokens`.

        Args:
            tokens: of the texts.
            max_tokens: padded tokens computed at once; None: the budget's.
            allowance: of a step that embeds more than these texts; None: they have one of their own.
        """
        if not len(tokens):
            return torch.zeros(0, self.dim, device=self.device)
        max_tokens = max_tokens or self.budget.token_budget
        allowance = allowance or self.budget.allowance()
        padded = np.array([self.padded_length(length) for length in tokens.lengths.tolist()])
        order, parts = np.argsort(padded, kind="stable"), []
        for length in np.unique(padded).tolist():
            rows, size = order[padded[order] == length], max(1, max_tokens // length)
            for at in range(0, len(rows), size):
                ids, _ = tokens.padded(rows[at : at + size], length, self.pad_id)
                kept = allowance.keeps(ids.size)
                parts.append(self._chunk(self._pooled, moved(ids, self.device), keeps_graph=kept))
        back = np.empty(len(tokens), dtype=np.int64)
        back[order] = np.arange(len(tokens))
        return self._vectors(torch.cat(parts).index_select(0, moved(back, self.device)))

    def _pooled(self, ids: Tensor) -> Tensor:
        pooled: Tensor = self.encoder(input_ids=ids).pooler_output
        return pooled


class PictureTower(_Tower):
    """Pictures to vectors (transformers' CLIPVisionModel, a vision transformer).

    Args:
        encoder: a CLIPVisionModel.
        projection: to the vectors' width.
        preparation: from files to the pixels that the encoder takes.
        changes: made to the pictures of a training step, and to no others.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        projection: nn.Linear,
        preparation: PicturePreparation,
        changes: PictureChanges | None = None,
    ) -> None:
        super().__init__(encoder, projection)
        self.preparation = preparation
        self.changes = PictureChanges() if changes is None else changes
        for name in ("mean", "std"):
            values = torch.tensor(getattr(preparation, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def tokens_a_picture(self) -> int:
        """Patches of a picture, and the one that stands for all of it."""
        return (int(self.config.image_size) // int(self.config.patch_size)) ** 2 + 1

    @property
    def max_length(self) -> int:
        """Tokens of which half is taken for a usual one's by hft.models.automatic_budget: every picture has as many."""
        return 2 * self.tokens_a_picture

    def embed(
        self, pictures: PackedPictures, max_tokens: int | None = None, allowance: GraphAllowance | None = None
    ) -> Tensor:
        """Differentiable float32 vectors [pictures, dim], in their order.

        Args:
            pictures: of the size that the encoder takes.
            max_tokens: tokens computed at once, a patch being one; None: the budget's.
            allowance: of a step that embeds more than these pictures; None: they have one of their own.
        """
        if not len(pictures):
            return torch.zeros(0, self.dim, device=self.device)
        allowance = allowance or self.budget.allowance()
        size = max(1, (max_tokens or self.budget.token_budget) // self.tokens_a_picture)
        parts = []
        for at in range(0, len(pictures), size):
            shown = self._normalised(moved(np.ascontiguousarray(pictures.pixels[at : at + size]), self.device))
            if self.training:
                shown = self.changes(shown)
            kept = allowance.keeps(len(shown) * self.tokens_a_picture)
            parts.append(self._chunk(self._pooled, shown, keeps_graph=kept))
        return self._vectors(torch.cat(parts))

    def _normalised(self, pixels: Tensor) -> Tensor:
        """float32 [pictures, 3, size, size] of uint8 [pictures, size, size, 3]."""
        return (pixels.permute(0, 3, 1, 2).float() / 255.0 - self.mean) / self.std

    def _pooled(self, shown: Tensor) -> Tensor:
        pooled: Tensor = self.encoder(pixel_values=shown).pooler_output
        return pooled
