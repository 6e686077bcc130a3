"""The encoders of BERT's kind on a CPU, with hft's own layers."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hft.models.compute.apart import LEAST_ROWS, exact_rows
from hft.models.compute.base import Piece
from hft.models.compute.bert_layer import infer_layer, train_layer
from hft.models.compute.dropout import dropout
from hft.models.compute.layer_weights import BackwardWeights, LayerShape, LayerWeights
from hft.models.compute.layout import Layout
from hft.models.compute.native_layer import train_native_layer
from hft.models.compute.reference import ReferenceCompute
from hft.models.compute.words import WordTable
from hft.native import NativeUnavailableError, kernels_here

__all__ = ["BertCompute"]

log = logging.getLogger(__name__)

# transformers' classes whose layers are BERT's, and whose embeddings take what BERT's take.
_MODELS = ("BertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel")
_LAYER_PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


class BertCompute:
    """Computes an encoder of BERT's kind with hft's own layers; on a GPU, and whatever it does not know, as
    transformers does.

    Args:
        encoder: for which `BertCompute.knows(encoder)`.
        native: whether layers that train in bf16 use hft's kernels in C, where they can be compiled.

    Attributes:
        checkpoint_layers: whether a layer keeps its input alone for the backward pass.
    """

    name = "bert"

    def __init__(self, encoder: nn.Module, native: bool = True) -> None:
        self.encoder: Any = encoder
        self.native = native
        self.reference = ReferenceCompute(encoder)
        self._checkpoint_layers = False
        self._weights: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> BertCompute:
        import copy

        other = BertCompute(copy.deepcopy(self.encoder, memo), self.native)
        other.checkpoint_layers = self.checkpoint_layers
        return other

    @property
    def checkpoint_layers(self) -> bool:
        """See EncoderCompute."""
        return self._checkpoint_layers

    @checkpoint_layers.setter
    def checkpoint_layers(self, wanted: bool) -> None:
        self._checkpoint_layers = self.reference.checkpoint_layers = wanted

    @staticmethod
    def knows(encoder: nn.Module) -> bool:
        """Whether an encoder has BERT's layers and embeddings, and nothing else."""
        config: Any = encoder.config
        return (
            type(encoder).__name__ in _MODELS
            and type(encoder).__module__.startswith("transformers.")
            and config.hidden_act == "gelu"
            and not getattr(config, "add_cross_attention", False)
            and getattr(config, "position_embedding_type", "absolute") == "absolute"
            and all(_is_plain(layer) for layer in encoder.encoder.layer)  # type: ignore[union-attr]
        )

    def begin(self, tokens: npt.NDArray[np.int32], pad_id: int) -> WordTable | None:
        """See EncoderCompute."""
        # A fused optimizer moves weights without counting up their version: nothing else tells.
        self._weights.clear()
        embedding = self.encoder.embeddings.word_embeddings
        learns = torch.is_grad_enabled() and embedding.weight.requires_grad and type(embedding) is nn.Embedding
        if not learns or embedding.weight.device.type != "cpu":
            return None
        # RoBERTa gives padding within a text no position, which it can tell by tokens alone.
        tells_padding = hasattr(self.encoder.embeddings, "create_position_ids_from_input_ids")
        if tells_padding and np.any(tokens == self.encoder.config.pad_token_id):
            return None
        return WordTable.of(embedding, tokens, pad_id)

    def hidden(self, ids: Tensor, mask: Tensor, words: WordTable | None = None) -> Tensor:
        """See EncoderCompute."""
        return self.hidden_of([Piece(ids, mask)], words)[0]

    def hidden_of(self, pieces: Sequence[Piece], words: WordTable | None = None, cut: int = 0) -> list[Tensor]:
        """See EncoderCompute. All but attention goes over the tokens of all pieces at once."""
        if not self._is_mine(pieces[0].ids):
            return self.reference.hidden_of(pieces, words, cut)
        starts = [self._embeddings(one.ids, words) if one.kept is None else one.kept for one in pieces]
        start = 0 if pieces[0].kept is None else cut
        return self._layers(starts, [one.mask for one in pieces], start, len(self.encoder.encoder.layer))

    def up_to(self, ids: Tensor, mask: Tensor, cut: int) -> Tensor:
        """See EncoderCompute."""
        if not self._is_mine(ids):
            return self.reference.up_to(ids, mask, cut)
        return self._layers([self._embeddings(ids)], [mask], 0, cut)[0]

    def from_cut(self, hidden: Tensor, ids: Tensor, mask: Tensor, cut: int) -> Tensor:
        """See EncoderCompute."""
        return self.hidden_of([Piece(ids, mask, hidden)], cut=cut)[0]

    def between(self, hidden: Tensor, ids: Tensor, mask: Tensor, cut: int, later: int) -> Tensor:
        """See EncoderCompute."""
        if not self._is_mine(ids):
            return self.reference.between(hidden, ids, mask, cut, later)
        return self._layers([hidden], [mask], cut, later)[0]

    def supports_cut(self, cut: int) -> bool:
        """See EncoderCompute."""
        return next(self.encoder.parameters()).device.type == "cpu" or self.reference.supports_cut(cut)

    def _is_mine(self, ids: Tensor) -> bool:
        return ids.device.type == "cpu" and all(_is_plain(layer) for layer in self.encoder.encoder.layer)

    def _embeddings(self, ids: Tensor, words: WordTable | None = None) -> Tensor:
        embeddings = self.encoder.embeddings
        drop = embeddings.dropout
        drops, drop.training = drop.training, False
        try:
            hidden: Tensor = embeddings(input_ids=ids) if words is None else embeddings(inputs_embeds=words(ids))
        finally:
            drop.training = drops
        return dropout(hidden, drop.p) if drops else hidden

    def _layers(self, starts: Sequence[Tensor], masks: Sequence[Tensor], start: int, stop: int) -> list[Tensor]:
        """What layers give for pieces of texts [texts, tokens, width], the tokens of all in one row."""
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        if dtype not in (torch.bfloat16, torch.float32):
            raise RuntimeError(f"layers are computed in float32 or bfloat16, not in {dtype}")
        with torch.autocast("cpu", enabled=False):
            layout = Layout(tuple(masks))
            flat, padded = torch.cat([one.to(dtype).flatten(0, 1) for one in starts]), True
            for layer in self.encoder.encoder.layer[start:stop]:
                wants_padding = not self._takes_native(layer, flat)
                if wants_padding != padded:
                    flat = layout.with_padding(flat) if wants_padding else layout.without_padding(flat)
                    padded = wants_padding
                flat = self._layer(layer, flat, layout)
            flat = flat if padded else layout.with_padding(flat)
            parts = flat.split([mask.numel() for mask in masks])  # type: ignore[no-untyped-call]
        return [part.view(*mask.shape, -1) for part, mask in zip(parts, masks, strict=True)]

    def _takes_native(self, layer: Any, flat: Tensor) -> bool:
        """Whether a layer is computed by the kernels in C, which take no padding."""
        if not self.native or flat.dtype != torch.bfloat16 or _only_infers(layer, flat):
            return False
        return _has_native_or_warns()

    def _layer(self, layer: Any, flat: Tensor, layout: Layout) -> Tensor:
        parameters, shape = _parameters(layer), _shape(layer, drops=layer.training)
        if _only_infers(layer, flat):
            weights = self._kept(layer, LayerWeights, parameters, shape, flat.dtype, flat.dtype)
            return _infer_apart(flat, layout.masks, weights, shape)
        if self.checkpoint_layers and _learns(layer, flat):
            kept: Tensor = checkpoint(self._train, layer, flat, layout, shape, parameters, use_reentrant=False)
            return kept
        return self._train(layer, flat, layout, shape, parameters)

    def _train(
        self, layer: Any, flat: Tensor, layout: Layout, shape: LayerShape, parameters: tuple[Tensor, ...]
    ) -> Tensor:
        if self._takes_native(layer, flat):
            weights = self._kept(layer, LayerWeights, parameters, shape, flat.dtype, torch.float32)
            return train_native_layer(flat, layout.starts, weights, shape, parameters, kernels_here())
        backward_weights = self._kept(layer, BackwardWeights, parameters, shape, flat.dtype, flat.dtype)
        return train_layer(flat, layout.masks, backward_weights, shape, parameters)

    def _kept(
        self,
        layer: Any,
        kind: type[LayerWeights],
        parameters: tuple[Tensor, ...],
        shape: LayerShape,
        dtype: torch.dtype,
        bias_dtype: torch.dtype,
    ) -> Any:
        """The layer's weights to compute with, made anew at each `begin` and when their version changed."""
        key = (id(layer), kind, shape, dtype, bias_dtype)
        state = tuple((one.data_ptr(), one._version) for one in parameters)
        known = self._weights.get(key)
        if known is None or known[0] != state:
            with torch.no_grad():
                known = self._weights[key] = (state, kind.of(parameters, shape, dtype, bias_dtype))
        return known[1]


@functools.cache
def _has_native_or_warns() -> bool:
    """Whether there are kernels in C here that are faster; if not, why not is said, once a process."""
    try:
        if not kernels_here().wide:
            raise NativeUnavailableError("the processor has no vectors of 512 bits (AVX-512)")
    except NativeUnavailableError as reason:
        log.warning(
            "hft's kernels in C cannot be used: %s. Training in bf16 goes on with torch's operations, which takes "
            "about twice as long; compute.kernels=torch chooses them without this line.",
            reason,
        )
        return False
    return True


def _learns(layer: Any, flat: Tensor) -> bool:
    return torch.is_grad_enabled() and (flat.requires_grad or any(one.requires_grad for one in _parameters(layer)))


def _only_infers(layer: Any, flat: Tensor) -> bool:
    """Whether a layer has neither a gradient nor dropout."""
    shape = _shape(layer, drops=layer.training)
    return not (_learns(layer, flat) or shape.dropout or shape.attention_dropout)


def _infer_apart(flat: Tensor, masks: tuple[Tensor, ...], weights: LayerWeights, shape: LayerShape) -> Tensor:
    """`infer_layer`, where in float32 a text's numbers do not depend on its neighbours."""
    if flat.dtype != torch.float32:
        return infer_layer(flat, masks, weights, shape)
    with exact_rows(len(flat)):
        times = -(-LEAST_ROWS // len(flat))  # the rows once more, until there are enough
        rows = flat if times == 1 else flat.repeat(times, 1)
        return infer_layer(rows, masks * times, weights, shape)[: len(flat)]


def _is_plain(layer: Any) -> bool:
    """Whether a layer is BERT's as transformers made it: nothing replaced, wrapped or hooked."""
    for name in _LAYER_PARTS:
        module: Any = layer
        for part in name.split("."):
            module = getattr(module, part, None)
        expected = nn.LayerNorm if name.endswith("LayerNorm") else nn.Linear
        if type(module) is not expected or module._forward_hooks or module._forward_pre_hooks or module.bias is None:
            return False
    return not (layer._forward_hooks or layer._forward_pre_hooks)


def _parameters(layer: Any) -> tuple[Tensor, ...]:
    attention, output = layer.attention.self, layer.attention.output
    of_attention = (attention.query, attention.key, attention.value, output.dense, output.LayerNorm)
    modules = (*of_attention, layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm)
    return tuple(tensor for module in modules for tensor in (module.weight, module.bias))


def _shape(layer: Any, *, drops: bool) -> LayerShape:
    attention, output = layer.attention.self, layer.attention.output
    return LayerShape(
        heads=attention.num_attention_heads,
        head_width=attention.attention_head_size,
        eps=output.LayerNorm.eps,
        last_eps=layer.output.LayerNorm.eps,
        dropout=float(output.dropout.p) if drops else 0.0,
        attention_dropout=float(attention.dropout.p) if drops else 0.0,
    )
