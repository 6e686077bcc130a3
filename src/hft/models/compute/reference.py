"""The layers as transformers has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hft.errors import ConfigError
from hft.models.compute.apart import enough_rows, exact_rows, is_exact
from hft.models.compute.base import Piece
from hft.models.compute.words import WordTable
from hft.models.layers import encoder_layers

__all__ = ["ReferenceCompute"]


class _ReachedError(Exception):
    """The cut was reached; the layers after it are not computed."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


class ReferenceCompute:
    """Calls the encoder. At a cut, the layers on the other side of it are left out by hooks.

    Args:
        encoder: a transformers encoder that returns `last_hidden_state`.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self.name = "reference"
        self.encoder = encoder
        self._supported: dict[int, bool] = {}

    @property
    def checkpoint_layers(self) -> bool:
        """Whether a layer keeps its input alone for the backward pass, by transformers' gradient checkpointing.

        Raises:
            ConfigError: the architecture has none.
        """
        return any(getattr(module, "gradient_checkpointing", False) for module in self.encoder.modules())

    @checkpoint_layers.setter
    def checkpoint_layers(self, wanted: bool) -> None:
        encoder: Any = self.encoder
        if wanted == self.checkpoint_layers:
            return
        if not wanted:
            encoder.activation_checkpointing_disable()
        elif not getattr(encoder, "supports_gradient_checkpointing", False):
            raise ConfigError(
                f"compute.gradient_checkpointing=true: {type(encoder).__name__} does not support it. Set it to false; "
                "compute.graph_tokens bounds the memory as well."
            )
        else:
            encoder.activation_checkpointing_enable({"use_reentrant": False})
            # It also has the embeddings' output require a gradient, which would then be computed through fixed layers.
            encoder.disable_input_require_grads()

    def begin(self, tokens: npt.NDArray[np.int32], pad_id: int) -> WordTable | None:
        """See EncoderCompute. Nothing: transformers looks words up itself."""
        return None

    def hidden(self, ids: Tensor, mask: Tensor, words: WordTable | None = None) -> Tensor:
        """See EncoderCompute."""
        if not self._keeps_apart(ids):
            return self._encoded(ids, mask)
        with exact_rows(ids.numel()):
            return self._encoded(enough_rows(ids), enough_rows(mask))[: len(ids)]

    def hidden_of(self, pieces: Sequence[Piece], words: WordTable | None = None, cut: int = 0) -> list[Tensor]:
        """See EncoderCompute. One after the other."""
        return [
            self.hidden(one.ids, one.mask) if one.kept is None else self.from_cut(one.kept, one.ids, one.mask, cut)
            for one in pieces
        ]

    def up_to(self, ids: Tensor, mask: Tensor, cut: int) -> Tensor:
        """See EncoderCompute."""
        # Nothing stands between the last layer and its reader but a norm, which is fixed with the layers.
        return self._stopped_at(cut, lambda: self.hidden(ids, mask))[: len(ids)]

    def from_cut(self, hidden: Tensor, ids: Tensor, mask: Tensor, cut: int) -> Tensor:
        """See EncoderCompute."""
        layers = encoder_layers(self.encoder)
        if cut >= len(layers):
            return hidden

        start = enough_rows(hidden) if self._keeps_apart(ids) else hidden

        def resume(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
            if args:
                return (start, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": start}

        with ExitStack() as stack:
            for layer in layers[:cut]:
                stack.enter_context(_passing_through(layer))
            stack.enter_context(_hooked(layers[cut], resume))
            return self.hidden(ids, mask)

    def between(self, hidden: Tensor, ids: Tensor, mask: Tensor, cut: int, later: int) -> Tensor:
        """See EncoderCompute."""
        if later <= cut:
            return hidden
        return self._stopped_at(later, lambda: self.from_cut(hidden, ids, mask, cut))[: len(ids)]

    def supports_cut(self, cut: int) -> bool:
        """See EncoderCompute. Tried out once on two short texts."""
        if cut not in self._supported:
            self._supported[cut] = self._halves_give_the_whole(cut)
        return self._supported[cut]

    def _encoded(self, ids: Tensor, mask: Tensor) -> Tensor:
        encoded: Tensor = self.encoder(input_ids=ids, attention_mask=mask.to(torch.int64)).last_hidden_state
        return encoded

    def _keeps_apart(self, ids: Tensor) -> bool:
        """Where nothing learns, or the first layers are fixed and what they give may be kept."""
        learns = torch.is_grad_enabled() and next(self.encoder.parameters()).requires_grad
        return is_exact(ids.device) and not learns

    def _stopped_at(self, cut: int, compute: Callable[[], Tensor]) -> Tensor:
        """What reaches the layer after a cut; what is computed where there is none."""
        layers = encoder_layers(self.encoder)
        if cut >= len(layers):
            return compute()

        def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            raise _ReachedError(args[0] if args else kwargs["hidden_states"])

        with _hooked(layers[cut], stop):
            try:
                compute()
            except _ReachedError as reached:
                return reached.hidden
        raise RuntimeError(f"layer {cut} of {type(self.encoder).__name__} was never called")

    def _halves_give_the_whole(self, cut: int) -> bool:
        device = next(self.encoder.parameters()).device
        ids = torch.arange(5, 21, device=device).view(2, 8)
        mask = torch.ones(2, 8, dtype=torch.bool, device=device)
        mask[1, 5:] = False
        training = [module for module in self.encoder.modules() if module.training]
        self.encoder.eval()
        try:
            with torch.no_grad():
                whole = self.hidden(ids, mask)
                halves = self.from_cut(self.up_to(ids, mask, cut), ids, mask, cut)
            return torch.equal(whole, halves)
        except (RuntimeError, TypeError, AttributeError, KeyError, IndexError, ValueError):
            return False  # an architecture whose layers cannot be left out
        finally:
            for module in training:
                module.training = True


@contextmanager
def _hooked(layer: nn.Module, hook: Any) -> Iterator[None]:
    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _passing_through(layer: Any) -> Iterator[None]:
    """The layer gives back what it gets."""

    def forward(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden_states

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward
