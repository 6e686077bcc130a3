"""Texts to tokens with a transformers tokenizer, and a key that says what decides them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from hft.stores import digest

__all__ = ["token_counts", "token_lists", "tokenizer_key"]

# Fewer texts go through transformers: the short way is as fast there and is set up for each call.
_MANY_TEXTS = 512
# Texts that the short way must give the same tokens for as transformers, each time it is used.
_PROOF_TEXTS = 16


def token_lists(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """The token ids of texts: special tokens in, truncated to `max_length`, not padded.

    Many texts at once go to the tokenizer's Rust core directly, on all its threads: transformers' way builds a few
    Python objects a token around the same numbers, which takes as long as the tokens.

    Args:
        tokenizer: of transformers.
        texts: prompt included.
        max_length: tokens.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    if len(texts) >= _MANY_TEXTS and isinstance(core, tokenizers.Tokenizer):
        proof = _by_transformers(tokenizer, texts[:_PROOF_TEXTS], max_length)
        short_way = tokenizers.Tokenizer.from_str(core.to_str())
        short_way.encode_special_tokens = core.encode_special_tokens
        short_way.no_padding()
        short_way.enable_truncation(max_length, direction=tokenizer.truncation_side)
        found = [encoding.ids for encoding in short_way.encode_batch_fast(list(texts))]
        if found[:_PROOF_TEXTS] == proof:  # a tokenizer with Python code of its own around the core may differ
            return found
    return _by_transformers(tokenizer, texts, max_length)


def token_counts(tokenizer: Any, texts: Sequence[str]) -> NDArray[np.int64]:
    """int64[texts]: tokens of each text, special tokens left out, nothing cut.

    Args:
        tokenizer: of transformers.
        texts: without prompt.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    if isinstance(core, tokenizers.Tokenizer):
        short_way = tokenizers.Tokenizer.from_str(core.to_str())
        short_way.no_padding()
        short_way.no_truncation()
        found = short_way.encode_batch_fast(list(texts), add_special_tokens=False)
        return np.fromiter((len(encoding) for encoding in found), dtype=np.int64, count=len(texts))
    ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return np.array([len(text) for text in ids], dtype=np.int64)


def tokenizer_key(tokenizer: Any, max_length: int, pad_id: int) -> str | None:
    """A key that two towers share only if they give every text the same tokens; None: nobody can tell.

    Args:
        tokenizer: of transformers. One without a Rust core has no serialisation to go by.
        max_length: tokens to which texts are cut.
        pad_id: the token of a text that has none.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(core, tokenizers.Tokenizer):
        return None
    kind = f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}"
    settings = [kind, tokenizers.__version__, tokenizer.truncation_side, core.encode_special_tokens]
    return digest(_digest_of_core(core.to_str()), json.dumps([*settings, max_length, pad_id]))


@lru_cache(maxsize=4)
def _digest_of_core(serialised: str) -> str:
    """Without what the last call happened to ask for, which is not what the tokenizer is."""
    return digest(json.dumps({**json.loads(serialised), "truncation": None, "padding": None}, sort_keys=True))


def _by_transformers(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]
    return ids
