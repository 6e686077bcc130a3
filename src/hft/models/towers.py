"""A text tower: tokens in, one vector a text out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hft.errors import TrainingError
from hft.models.buckets import Chunk, LengthBuckets, grouped
from hft.models.budget import ComputeBudget, GraphAllowance
from hft.models.compute import EncoderCompute, Piece, choose_compute
from hft.models.compute.words import WordTable
from hft.models.kept import KeptActivations
from hft.models.layers import parameters_by_place
from hft.models.packed import PackedTexts
from hft.models.pooling import Normalize, Pooling, Projection
from hft.models.tokenizing import token_counts, token_lists, tokenizer_key

__all__ = ["TextTower"]


class TextTower(nn.Module):
    """An encoder with its tokenizer, its pooling and the modules after it.

    Args:
        encoder: a transformers encoder that returns `last_hidden_state`.
        tokenizer: its tokenizer.
        pooling: how tokens become a text.
        projections: what follows pooling, in order: dense layers, layer norms, dropout, normalisation.
        max_length: tokens of a text, special tokens and prompt in; longer ones are truncated.
        capacity: tokens that the encoder can take, None where it has no limit.
        truncate_dim: so many first numbers of a text's vector are given; None: all.
        lower_case: whether the tokenizer lower-cases because the folder said so; kept for the saved one.

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
        pooling: Pooling,
        projections: Sequence[nn.Module],
        max_length: int,
        capacity: int | None = None,
        truncate_dim: int | None = None,
        lower_case: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projections = nn.ModuleList(projections)
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.max_length = max_length
        self.capacity = capacity
        self.truncate_dim = truncate_dim
        self.lower_case = lower_case
        self.buckets = LengthBuckets(max_length, capacity)
        self.compute: EncoderCompute = choose_compute(encoder)
        self.budget = ComputeBudget()
        self.activations: KeptActivations | None = None
        self.pad_id = int(tokenizer.pad_token_id or 0)
        self._prompt_tokens: dict[str, int] = {}

    def extra_repr(self) -> str:
        """Keys of what is kept go by it."""
        return f"truncate_dim={self.truncate_dim}"

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
        widths = [layer.out_features for layer in self.projections if isinstance(layer, Projection)]
        dim = widths[-1] if widths else self.width * len(self.pooling.modes)
        return dim if self.truncate_dim is None else min(dim, self.truncate_dim)

    @property
    def normalize(self) -> bool:
        """Whether vectors get length 1."""
        last = self.projections[-1] if len(self.projections) else None
        return isinstance(last, Normalize) and self.truncate_dim is None

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
            projections=[copy.deepcopy(layer) for layer in self.projections],
            max_length=self.max_length,
            capacity=self.capacity,
            truncate_dim=self.truncate_dim,
            lower_case=self.lower_case,
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

    def prompt_tokens(self, prompt: str) -> int:
        """Tokens at the beginning of a text that are the prompt's and that pooling leaves out; 0 where they count.

        They are the tokens of the prompt alone, special ones in, without a special one at its end.
        """
        if self.pooling.include_prompt or not prompt:
            return 0
        if prompt not in self._prompt_tokens:
            tokens = self.tokenize([prompt])[0]
            ends = int(tokens[-1]) in self.tokenizer.all_special_ids
            self._prompt_tokens[prompt] = len(tokens) - ends
        return self._prompt_tokens[prompt]

    @property
    def tokenizer_key(self) -> str | None:
        """What, with a text, decides its tokens: the key of its tokens on disk. None: nobody can tell."""
        return tokenizer_key(self.tokenizer, self.max_length, self.pad_id)

    def embed(
        self,
        tokens: PackedTexts,
        max_tokens: int | None = None,
        allowance: GraphAllowance | None = None,
        prompt_tokens: int = 0,
    ) -> Tensor:
        """Differentiable float32 vectors [texts, dim], in the order of `tokens`.

        Each text is padded to its own length bucket and computed in a chunk of the budget's size. Chunks past the
        allowance are computed again in the backward pass; the gradients are the same.

        Args:
            tokens: of the texts.
            max_tokens: padded tokens computed at once; None: the budget's.
            allowance: of a step that embeds more than these texts; None: they have one of their own.
            prompt_tokens: at the beginning of each text, which pooling leaves out.
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
            self._pool_group(
                self._pieces(tokens, group),
                words,
                prompt_tokens,
                keeps_graph=allowance.keeps(sum(chunk.tokens for chunk in group)),
            )
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
        self, pieces: Sequence[Piece], words: WordTable | None, prompt_tokens: int, *, keeps_graph: bool
    ) -> Tensor:
        """float32 [texts of a group, width], pooled, in the order of its chunks."""

        def compute(_: Tensor) -> Tensor:
            return self._pooled(pieces, words, prompt_tokens)

        if keeps_graph or not torch.is_grad_enabled():
            return compute(pieces[0].ids)
        # A tensor among the arguments, so that a GPU's random state is kept with it.
        again: Tensor = checkpoint(compute, pieces[0].ids, use_reentrant=False)
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

    def _pooled(self, pieces: Sequence[Piece], words: WordTable | None, prompt_tokens: int) -> Tensor:
        cut = 0 if self.activations is None else self.activations.cut
        hidden = self.compute.hidden_of(pieces, words, cut)
        pooled = [self.pool(one, piece.mask, prompt_tokens) for one, piece in zip(hidden, pieces, strict=True)]
        return torch.cat(pooled)

    def pool(self, hidden: Tensor, mask: Tensor, prompt_tokens: int = 0) -> Tensor:
        """float32 [texts, modes * width] of what the last layer gives, also under autocast; see Pooling."""
        with torch.autocast(hidden.device.type, enabled=False):
            pooled: Tensor = self.pooling(hidden, mask, prompt_tokens)
            return pooled

    def _finish(self, vectors: Tensor) -> Tensor:
        """What follows pooling, in float32 also under autocast."""
        with torch.autocast(vectors.device.type, enabled=False):
            for layer in self.projections:
                vectors = layer(vectors)
            return vectors[:, : self.truncate_dim]


def moved(array: np.ndarray, device: torch.device) -> Tensor:
    """The array as a tensor on a device; to a GPU from pinned memory, without waiting for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
