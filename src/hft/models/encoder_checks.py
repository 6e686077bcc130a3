"""What hft asks of an encoder and its tokenizer, tried out once when they are loaded."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch

from hft.errors import ModelError

__all__ = ["check_encoder"]

# Rounding in float32 changes numbers by some 1e-6 of the largest; an encoder that sees padding by far more.
_SAME = 1e-3
_PADDING = 3


def check_encoder(folder: Path, encoder: Any, tokenizer: Any) -> None:
    """Refuses what would give other vectors than the folder means.

    Raises:
        ModelError: tokens without an embedding, segments that hft does not tell, or an encoder that sees padding.
    """
    _check_vocabulary(folder, encoder, tokenizer)
    found = tokenizer("a b c")
    ids = torch.tensor([found["input_ids"]])
    kind = type(encoder).__name__
    takes_segments = "token_type_ids" in inspect.signature(encoder.forward).parameters
    if takes_segments and any(found.get("token_type_ids") or ()):
        raise ModelError(
            f"{folder}: its tokenizer gives one text several segments (token_type_ids), which hft does not pass on to "
            f"{kind}. Choose another model."
        )
    if ids.numel() and not _leaves_padding_out(encoder, ids, int(tokenizer.pad_token_id or 0)):
        raise ModelError(
            f"{folder}: the numbers that {kind} gives a text change with the padding beside it, so that a text has no "
            "vector of its own. Choose another model."
        )


def _check_vocabulary(folder: Path, encoder: Any, tokenizer: Any) -> None:
    rows = encoder.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(
            f"{folder}: the tokenizer knows {len(tokenizer)} tokens, the model has {rows}; they do not belong "
            f"together. Give the tokenizer that was saved with the weights, or add the tokens to the model "
            f"(resize_token_embeddings({len(tokenizer)}) of transformers, then save_pretrained)."
        )


@torch.no_grad()
def _leaves_padding_out(encoder: Any, ids: torch.Tensor, pad_id: int) -> bool:
    mask = torch.ones_like(ids)
    alone = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    padding = torch.full((1, _PADDING), pad_id)
    padded = encoder(
        input_ids=torch.cat((ids, padding), dim=1), attention_mask=torch.cat((mask, torch.zeros_like(padding)), dim=1)
    ).last_hidden_state[:, : ids.shape[1]]
    return bool((padded - alone).abs().max() <= _SAME * alone.abs().max())
