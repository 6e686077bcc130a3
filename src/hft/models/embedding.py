"""The text embedding model: a query tower and an items tower, or one for both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from hft.errors import ConfigError, ModelError
from hft.models.automatic_budget import budget_of
from hft.models.budget import ComputeBudget
from hft.models.compute import choose_compute, compile_layers, kernels_of
from hft.models.fingerprint import weights_fingerprint
from hft.models.layers import count_layers, encoder_layers, fix_first_layers
from hft.models.packed import PackedTexts
from hft.models.sentence import ModelWords
from hft.models.sentence_saving import save_model
from hft.models.towers import TextTower
from hft.settings import ComputeSettings

__all__ = ["Side", "TextEmbeddingModel"]

Side = Literal["query", "items"]
# Texts tokenised at once by `encode`, so that a large corpus never stands in memory as tokens.
_TEXTS_AT_ONCE = 4096


class TextEmbeddingModel(nn.Module):
    """Texts in, vectors out, for queries and for items.

    Args:
        items_tower: embeds items, and queries too where `query_tower` is None.
        query_tower: embeds queries with parameters of its own; None shares the items tower.
        query_prompt: text put before each query.
        item_prompt: text put before each item.
        words: what the folder said of the model beside; kept for the saved one.

    Attributes:
        fingerprint: SHA-256 of the weights as they were when the model was made.
        budget: of tokens computed and kept at once, of all towers together.
        texts: plain values that say how the model's texts are made of records; saved with it. None: nobody says.
        makes_text: makes the text of a record for a side, where `hft.load` gave the model what it declares.

    Raises:
        ModelError: the towers give vectors of different widths.
    """

    def __init__(
        self,
        items_tower: TextTower,
        query_tower: TextTower | None = None,
        *,
        query_prompt: str = "",
        item_prompt: str = "",
        words: ModelWords | None = None,
    ) -> None:
        super().__init__()
        self.items_tower = items_tower
        self.own_query_tower = query_tower
        self.query_prompt = query_prompt
        self.item_prompt = item_prompt
        self.words = words or ModelWords()
        if self.query_tower.dim != items_tower.dim:
            raise ModelError(
                f"The query tower gives vectors of {self.query_tower.dim} numbers, the items tower of "
                f"{items_tower.dim}; they cannot be compared. Set model.dense_dim to one width for both."
            )
        self.texts: dict[str, Any] | None = None
        self.makes_text: Callable[[Mapping[str, Any], Side], str] | None = None
        self.budget = ComputeBudget()
        for tower in self.towers:
            tower.budget = self.budget
        self.fingerprint = weights_fingerprint(self)

    @property
    def shared(self) -> bool:
        """Whether one tower serves both sides."""
        return self.own_query_tower is None

    @property
    def query_tower(self) -> TextTower:
        """The tower of the queries; the same object as `items_tower` where it is shared."""
        return self.items_tower if self.own_query_tower is None else self.own_query_tower

    @property
    def towers(self) -> tuple[TextTower, ...]:
        """Each tower once: (items,) where it is shared, else (query, items)."""
        return (self.items_tower,) if self.shared else (self.query_tower, self.items_tower)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.items_tower.dim

    @property
    def num_layers(self) -> int:
        """Layers of the encoder; of the shallower one where the towers differ."""
        return min(count_layers(tower.encoder) for tower in self.towers)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.items_tower.device

    def tower(self, side: Side) -> TextTower:
        """The tower of a side."""
        return self.query_tower if side == "query" else self.items_tower

    def prompt(self, side: Side) -> str:
        """The text put before each text of a side."""
        return self.query_prompt if side == "query" else self.item_prompt

    def prompt_tokens(self, side: Side) -> int:
        """Tokens at the beginning of each text of a side that its tower's pooling leaves out."""
        return self.tower(side).prompt_tokens(self.prompt(side))

    def tokenize(self, texts: Sequence[str], side: Side) -> list[np.ndarray]:
        """int32[tokens] a text: prompt and special tokens in, truncated to the tower's `max_length`."""
        prompt = self.prompt(side)
        return self.tower(side).tokenize([prompt + text for text in texts] if prompt else texts)

    def embed(self, tokens: PackedTexts, side: Side, max_tokens: int | None = None) -> Tensor:
        """Differentiable float32 vectors [texts, dim] of tokenised texts, in their order.

        A text's vector does not depend on its neighbours: each is padded to its own length bucket. Without gradients a
        GPU that is out of memory gets half the tokens at once; in a training step the step begins anew.

        Args:
            tokens: of the texts, as `PackedTexts.of(tokenize(...))` gives them.
            side: `query` or `items`.
            max_tokens: padded tokens computed at once; None: the budget's. Changes memory and speed, not the vectors.
        """
        embed = partial(self.tower(side).embed, tokens, max_tokens, prompt_tokens=self.prompt_tokens(side))
        return embed() if torch.is_grad_enabled() else self.budget.within_memory(embed)

    def embed_step(self, queries: PackedTexts, items: PackedTexts) -> tuple[Tensor, Tensor]:
        """Vectors of both sides of a training step, [queries, dim] and [items, dim], kept within one budget."""
        allowance = self.budget.allowance()
        embedded = self.query_tower.embed(queries, allowance=allowance, prompt_tokens=self.prompt_tokens("query"))
        return embedded, self.items_tower.embed(items, allowance=allowance, prompt_tokens=self.prompt_tokens("items"))

    def padding(self, queries: PackedTexts, items: PackedTexts) -> float:
        """Share of padding, 0..1, among all tokens that a step with these texts computes."""
        sides = (self.query_tower, queries), (self.items_tower, items)
        padded = sum(int(tower.buckets.padded(texts.lengths).sum()) for tower, texts in sides)
        return 1.0 - (len(queries.flat) + len(items.flat)) / max(padded, 1)

    def forward(self, tokens: PackedTexts, side: Side) -> Tensor:
        """The same as `embed`, so that module wrappers work."""
        return self.embed(tokens, side)

    def encode(
        self, texts: Sequence[str | Mapping[str, Any]], side: Side, *, progress: Callable[[int], object] | None = None
    ) -> np.ndarray:
        """float32[texts, dim] vectors of texts, without gradients and without dropout.

        Args:
            texts: as a user wrote them; the side's prompt is added. A record (its fields by name) becomes the text that
                the model was trained on.
            side: `query` or `items`.
            progress: called with the number of texts done since the last call.

        Raises:
            ConfigError: a record, of a model that does not declare how texts are made of records.
        """
        made = [text if isinstance(text, str) else self._text_of(text, side) for text in texts]
        vectors = np.empty((len(made), self.dim), dtype=np.float32)
        for start in range(0, len(made), _TEXTS_AT_ONCE):
            stop = min(start + _TEXTS_AT_ONCE, len(made))
            tokens = self.tokenize(made[start:stop], side)
            vectors[start:stop] = self.encode_tokens(tokens, side, progress=progress)
        return vectors

    def _text_of(self, record: Mapping[str, Any], side: Side) -> str:
        if self.makes_text is None:
            raise ConfigError(
                "encode: got a record, and this model does not say how its texts are made of records. Give texts, or "
                "load a run, or a model that hft exported, with hft.load."
            )
        return self.makes_text(record, side)

    def encode_tokens(
        self, tokens: Sequence[np.ndarray], side: Side, *, progress: Callable[[int], object] | None = None
    ) -> np.ndarray:
        """The same as `encode` for texts that are tokenised already (int[tokens] each)."""
        vectors = np.empty((len(tokens), self.dim), dtype=np.float32)
        packed = PackedTexts.of(tokens)
        with self._evaluating(), torch.inference_mode():
            for chunk in self.tower(side).buckets.chunks(packed.lengths, self.budget.token_budget):
                embedded = self.embed(packed.take(chunk.rows), side)
                vectors[chunk.rows] = embedded.cpu().numpy()
                if progress is not None:
                    progress(len(chunk.rows))
        return vectors

    def compute_with(
        self, settings: ComputeSettings, *, precision: str = "32-true", say: Callable[[str], object] | None = None
    ) -> None:
        """How the layers are computed from now on, and in how much memory. Nothing else of the model changes.

        Call it when the model is on its device and it is decided which weights move: `auto` looks at both.

        Args:
            settings: the `compute` node of a config.
            precision: Lightning's word for the run's precision.
            say: takes a line for the person who waits.

        Raises:
            ConfigError: what is asked for cannot be had with this model on this machine.
        """
        for tower in self.towers:
            tower.compute = choose_compute(tower.encoder, kernels_of(settings))
            tower.compute.checkpoint_layers = settings.gradient_checkpointing
            if settings.compile:
                compile_layers(tower.encoder)
                tower.compute.name = "compiled"
        self.budget.say = say
        self.budget.token_budget, self.budget.graph_tokens = budget_of(self.towers, settings, precision)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model as a sentence-transformers folder: `SentenceTransformer(folder)` loads it.

        Two towers become a Router: use `encode_query` and `encode_document` there.

        Raises:
            StorageError: the folder cannot be written, or holds something that is not a model.
        """
        save_model(
            folder,
            items_tower=self.items_tower,
            query_tower=self.own_query_tower,
            query_prompt=self.query_prompt,
            item_prompt=self.item_prompt,
            words=self.words,
            texts=self.texts,
        )

    def layers(self, tower: TextTower) -> nn.ModuleList:
        """The layers of a tower's encoder, numbered from the input."""
        return encoder_layers(tower.encoder)

    def freeze(self, num_fixed_layers: int) -> None:
        """Fixes the first layers of each tower, with 1 or more the embeddings as well; all others move.

        Raises:
            ConfigError: more layers than the model has, fewer than none, or some of layers that share their weights.
        """
        if not 0 <= num_fixed_layers <= self.num_layers:
            raise ConfigError(
                f"params.num_fixed_layers={num_fixed_layers}: the model has {self.num_layers} layers. Choose 0 (fix "
                f"nothing) to {self.num_layers} (fix the whole encoder)."
            )
        for tower in self.towers:
            tower.requires_grad_(True)
            fix_first_layers(tower.encoder, num_fixed_layers)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Eval mode inside the block, each module's own mode again after it."""
        training = [module for module in self.modules() if module.training]
        self.eval()
        try:
            yield
        finally:
            for module in training:
                module.training = True
