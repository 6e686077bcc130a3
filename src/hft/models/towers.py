"""A text tower: tokens in, one vector a text out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from hft.errors import TrainingError
from hft.models.buckets import Chunk, LengthBuckets, grouped
from hft.models.budget import ComputeBudget, GraphAllowance
from hft.models.compute import EncoderCompute, Piece, choose_compute
from hft.models.compute.words import WordTable
from hft.models.kept import KeptActivations
from hft.models.layers import parameters_by_place
from hft.models.packed import PackedTexts
from hft.models.pooling import PoolingMode, Projection, cls_pooling, mean_pooling
from hft.models.tokenizing import token_counts, token_lists, tokenizer_key

__all__ = ["TextTower"]


class TextTower(nn.Module):
    """An encoder with its tokenizer, its pooling, the dense layers after it and the normalisation.

    Args:
        encoder: a transformers encoder that returns `last_hidden_state`.
        tokenizer: its tokenizer.
        pooling: how tokens become a text: `mean` or `cls`.
        projections: dense layers after pooling, in order.
        normalize: whether vectors get length 1.
        max_length: tokens of a text, special tokens and prompt in; longer ones are truncated.
        capacity: tokens that the encoder can take, None where it has no limit.

    Attributes:
        compute: computes the encoder's layers.
        budget: of tokens computed and kept at once; the towers of a model have one together.
        activations: what fixed layers give, where it is kept; they may not change while this is set.
    """

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: Any,
        *,
        pooling: PoolingMode,
        projections: Sequence[Projection],
        normalize: bool,
        max_length: int,
        capacity: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projections = nn.ModuleList(projections)
        self.tokenizer = tokenizer
        self.pooling: PoolingMode = pooling
        self.normalize = normalize
        self.max_length = max_length
        self.capacity = capacity
        self.buckets = LengthBuckets(max_length, capacity)
        self.compute: EncoderCompute = choose_compute(encoder)
        self.budget = ComputeBudget()
        self.activations: KeptActivations | None = None
        self.pad_id = int(tokenizer.pad_token_id or 0)

    @property
    def config(self) -> Any:
        """The encoder's transformers configuration."""
        return self.encoder.config

    @property
    def width(self) -> int:
        """Width of the encoder's token vectors."""
        return int(self.config.hidden_size)

    @property
    def dim(self) -> int:
        """Width of a text's vector."""
        last = self.projections[-1] if len(self.projections) else None
        return last.out_features if isinstance(last, Projection) else self.width

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def copy(self) -> TextTower:
        """A tower of the same weights with parameters of its own. The tokenizer, which holds no weights, is shared."""
        return TextTower(
            copy.deepcopy(self.encoder),
            self.tokenizer,
            pooling=self.pooling,
            projections=[copy.deepcopy(layer) for layer in self.projections],  # type: ignore[misc]
            normalize=self.normalize,
            max_length=self.max_length,
            capacity=self.capacity,
        )

    def tokenize(self, texts: Sequence[str]) -> list[np.ndarray]:
        """int32[tokens] for each text: special tokens in, truncated to `max_length`."""
        if not texts:
            return []
        ids = token_lists(self.tokenizer, texts, self.max_length)
        return [np.asarray(text or [self.pad_id], dtype=np.int32) for text in ids]

    def count_tokens(self, texts: Sequence[str]) -> np.ndarray:
        """int64[texts]: tokens of each text, special tokens left out, nothing cut."""
        return token_counts(self.tokenizer, texts)

    def room(self, prompt: str) -> int:
        """Tokens that are left of `max_length` for a text beside special tokens and a prompt; 1 at least."""
        return max(1, self.max_length - len(self.tokenize([prompt])[0]))

    @property
    def tokenizer_key(self) -> str | None:
        """What, with a text, decides its tokens: the key of its tokens on disk. None: nobody can tell."""
        return tokenizer_key(self.tokenizer, self.max_length, self.pad_id)

    def embed(
        self, tokens: PackedTexts, max_tokens: int | None = None, allowance: GraphAllowance | None = None
    ) -> Tensor:
        """Differentiable float32 vectors [texts, dim], in the order of `tokens`.

        Each text is padded to its own length bucket and computed in a chunk of the budget's size. Chunks past the
        allowance are computed again in the backward pass; the gradients are the same.

        Args:
            tokens: of the texts.
            max_tokens: padded tokens computed at once; None: the budget's.
            allowance: of a step that embeds more than these texts; None: they have one of their own.
        """
        if not len(tokens):
            return torch.zeros(0, self.dim, device=self.device)
        self._require_fixed()
        kept = None if self.activations is None else self.activations.pooled(tokens, self.device)
        if kept is not None:
            return self._finish(kept)
        max_tokens = max_tokens or self.budget.token_budget
        chunks = self.buckets.chunks(tokens.lengths, max_tokens)
        allowance = allowance or self.budget.allowance()
        words = self.compute.begin(tokens.flat, self.pad_id)
        pooled = [
            self._pool_group(tokens, group, words, keeps_graph=allowance.keeps(sum(chunk.tokens for chunk in group)))
            for group in grouped(chunks, max_tokens)
        ]
        places = np.empty(len(tokens), dtype=np.int64)
        places[np.concatenate([chunk.rows for chunk in chunks])] = np.arange(len(tokens))
        return self._finish(torch.cat(pooled).index_select(0, moved(places, self.device)))

    def _require_fixed(self) -> None:
        """What fixed layers gave is read in their place: none of them may move meanwhile.

        Raises:
            TrainingError: one does.
        """
        if self.activations is None or not torch.is_grad_enabled():
            return
        before, layers, _ = parameters_by_place(self.encoder)
        for place in (before, *layers[: self.activations.cut]):
            if any(parameter.requires_grad for parameter in place.values()):
                raise TrainingError(
                    f"Layers that were fixed when training began (the first {self.activations.cut}) move now, and what "
                    "they gave is kept. Set stores.activations=false where a callback unfreezes layers."
                )

    def _pool_group(
        self, tokens: PackedTexts, group: Sequence[Chunk], words: WordTable | None, *, keeps_graph: bool
    ) -> Tensor:
        """float32 [texts of the group, width], pooled, in the order of its chunks."""
        pieces = self._pieces(tokens, group)
        if keeps_graph or not torch.is_grad_enabled():
            return self._pooled(pieces, words)
        # A tensor among the arguments, so that a GPU's random state is kept with it.
        again: Tensor = checkpoint(lambda _: self._pooled(pieces, words), pieces[0].ids, use_reentrant=False)
        return again

    def _pieces(self, tokens: PackedTexts, group: Sequence[Chunk]) -> list[Piece]:
        """The texts of each chunk, with what is kept of all of them, or of none."""
        pieces = []
        for chunk in group:
            padded = tokens.padded(chunk.rows, chunk.length, self.pad_id)
            ids, mask = (moved(array, self.device) for array in padded)
            kept = None
            if self.activations is not None:
                kept = self.activations.hidden(tokens.take(chunk.rows), chunk.length, self.device)
            pieces.append(Piece(ids, mask, kept))
        if any(piece.kept is None for piece in pieces):
            return [Piece(piece.ids, piece.mask) for piece in pieces]
        return pieces

    def _pooled(self, pieces: Sequence[Piece], words: WordTable | None) -> Tensor:
        cut = 0 if self.activations is None else self.activations.cut
        hidden = self.compute.hidden_of(pieces, words, cut)
        return torch.cat([self.pool(one, piece.mask) for one, piece in zip(hidden, pieces, strict=True)])

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """float32 [texts, width] of what the last layer gives, [texts, tokens, width], in float32 also under autocast.

        Args:
            hidden: of the last layer.
            mask: BoolTensor[texts, tokens].
        """
        pool = mean_pooling if self.pooling == "mean" else cls_pooling
        with torch.autocast(hidden.device.type, enabled=False):
            return pool(hidden, mask)

    def _finish(self, vectors: Tensor) -> Tensor:
        """The dense layers and the normalisation, in float32 also under autocast."""
        with torch.autocast(vectors.device.type, enabled=False):
            for layer in self.projections:
                vectors = layer(vectors)
            return functional.normalize(vectors, dim=-1) if self.normalize else vectors


def moved(array: np.ndarray, device: torch.device) -> Tensor:
    """The array as a tensor on a device; to a GPU from pinned memory, without waiting for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
