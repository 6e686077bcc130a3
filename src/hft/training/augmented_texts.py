"""Texts that are others in each epoch: tokenised when a batch asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hft.models.packed import PackedTexts
from hft.stores import text_keys
from hft.training.sessions import IntArray
from hft.training.token_store import Tokenize, TokenStore

__all__ = ["AugmentedTexts"]


class AugmentedTexts:
    """The tokens of variants of texts; those that an epoch does not change are in a store already.

    Nothing is kept: a variant is seldom seen twice. A batch waits for the variants of its texts and for the tokenizer.

    Args:
        store: tokens of the texts as they are.
        texts: gives the texts of int64[rows], as they are.
        variant: (text, epoch) -> the text as it is in that epoch.
        tokenize: texts -> int32[tokens] each.
        prompt: what `tokenize` puts before each text.
    """

    def __init__(
        self,
        store: TokenStore,
        texts: Callable[[IntArray], Sequence[str]],
        variant: Callable[[str, int], str],
        tokenize: Tokenize,
        prompt: str = "",
    ) -> None:
        self.store = store
        self._texts = texts
        self._variant = variant
        self._tokenize = tokenize
        self._prompt = prompt

    def of_epoch(self, epoch: int, rows: IntArray) -> PackedTexts:
        """Tokens of the given int64[rows], in their order, as they are in an epoch."""
        texts = self._texts(rows)
        variants = [self._variant(text, epoch) for text in texts]
        is_new = np.array([variant != text for variant, text in zip(variants, texts, strict=True)], dtype=np.bool_)
        kept = self.store.rows(rows[~is_new])
        if not is_new.any():
            return kept
        new = [variant for variant, changed in zip(variants, is_new.tolist(), strict=True) if changed]
        parts = [kept, PackedTexts.of(self._tokenize(new))]
        row = np.where(is_new, np.cumsum(is_new), np.cumsum(~is_new)) - 1
        keys = None
        if kept.keys is not None:
            keys = np.empty((len(rows), 2), dtype=np.uint64)
            keys[~is_new], keys[is_new] = kept.keys, text_keys(new, self._prompt)
        return TokenStore(parts, is_new.astype(np.int64), row, keys).rows(np.arange(len(rows)))
