"""Every distinct text tokenised once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt

from hft.models.packed import PackedTexts
from hft.stores import StoreFolder, text_keys
from hft.training.sessions import IntArray
from hft.training.token_segments import SEGMENT_TOKENS, TokenSegments, join

Tokens = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]
Tokenize = Callable[[Sequence[str]], Sequence[Tokens]]

# Texts handed to the tokenizer at once: enough for its threads, few enough for what Python makes of their tokens.
TEXTS_AT_ONCE = 8192


class TokenStore:
    """The tokens of a list of texts: flat arrays, in memory or mapped from disk, found by index arithmetic.

    Args:
        parts: where the tokens lie, one packed array or several.
        part: int64[texts], in which part each text is; None: the texts are those of the one part, in its order.
        row: int64[texts], the text's row there.
        keys: uint64[texts, 2], what each text is known by in the stores; None: what the one part says.
    """

    def __init__(
        self,
        parts: PackedTexts | Sequence[PackedTexts],
        part: IntArray | None = None,
        row: IntArray | None = None,
        keys: Keys | None = None,
    ) -> None:
        self.parts = [parts] if isinstance(parts, PackedTexts) else list(parts)
        if part is None or row is None:
            (only,) = self.parts
            self.keys = only.keys if keys is None else keys
            self._part: IntArray | None = None
            self._starts: IntArray = only.offsets[:-1]
            self._lengths: IntArray = only.lengths
            return
        self.keys = keys
        self._part = part if len(self.parts) > 1 else None
        first = np.cumsum([0, *(len(packed) for packed in self.parts)])[part] + row
        self._starts = np.concatenate([np.zeros(0, dtype=np.int64), *(p.offsets[:-1] for p in self.parts)])[first]
        self._lengths = np.concatenate([np.zeros(0, dtype=np.int64), *(p.lengths for p in self.parts)])[first]

    @classmethod
    def build(
        cls,
        texts: Sequence[str],
        tokenize: Tokenize,
        *,
        folder: StoreFolder | None = None,
        tokenizer_key: str | None = None,
        prompt: str = "",
    ) -> TokenStore:
        """The tokens of texts. Equal texts are tokenised once, and with a folder once for all runs.

        Args:
            texts: one a row.
            tokenize: texts -> int32[tokens] each, special tokens (and the prompt) included.
            folder: where tokens are kept; None: in this process only.
            tokenizer_key: says what else than the text decides its tokens; None: nothing is kept.
            prompt: what `tokenize` puts before each text.
        """
        keys = text_keys(texts, prompt)
        segments = None if folder is None or tokenizer_key is None else TokenSegments(folder, tokenizer_key)
        found = [] if segments is None else segments.read()
        part, row = _find(keys, found)
        if (part < 0).any():
            with nullcontext() if segments is None else segments.computing():
                if segments is not None:  # another process may have tokenised them while this one waited
                    found = segments.read()
                    part, row = _find(keys, found)
                missing = np.flatnonzero(part < 0)
                first, group = _each_once(keys[missing])
                new = list(_tokenised(texts, keys, missing[first], tokenize, segments))
            sizes = np.cumsum([0, *(len(packed) for packed in new)])
            place = np.searchsorted(sizes, np.arange(sizes[-1]), side="right") - 1
            part[missing] = len(found) + place[group]
            row[missing] = group - sizes[place[group]]
            found += new
        used = np.unique(part)
        parts = [found[number] for number in used.tolist()]
        if len(parts) == 1 and len(keys) == len(parts[0]) and np.array_equal(row, np.arange(len(row))):
            return cls(parts[0], keys=keys)
        return cls(parts, np.searchsorted(used, part), row, keys)

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def lengths(self) -> IntArray:
        """int64[texts], tokens of each text."""
        return self._lengths

    def of_epoch(self, epoch: int, rows: IntArray) -> PackedTexts:
        """As `rows`: these texts are the same in every epoch."""
        return self.rows(rows)

    def rows(self, rows: IntArray) -> PackedTexts:
        """Tokens of the given int64[rows], in their order."""
        lengths = self._lengths[rows]
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths)))
        starts, keys = self._starts[rows], None if self.keys is None else self.keys[rows]
        if self._part is None:
            flat = self.parts[0].flat[_places(starts, lengths)] if self.parts else np.zeros(0, dtype=np.int32)
            return PackedTexts(flat, offsets, keys)
        flat, part = np.empty(offsets[-1], dtype=np.int32), self._part[rows]
        for number in np.unique(part).tolist():
            here = np.flatnonzero(part == number)
            source = _places(starts[here], lengths[here])
            flat[_places(offsets[here], lengths[here])] = self.parts[number].flat[source]
        return PackedTexts(flat, offsets, keys)


def _places(starts: IntArray, lengths: IntArray) -> IntArray:
    """int64[tokens]: the positions start, start + 1, ... of each run of tokens, one run after the other."""
    ends = np.cumsum(lengths)
    places: IntArray = np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
    return places


def _find(keys: Keys, segments: Sequence[PackedTexts]) -> tuple[IntArray, IntArray]:
    """In which segment each key is, and in which row of it; -1 where it is in none.

    A key whose first half another text has (one pair of 2**32 texts) may count as missing; it is never mistaken.
    """
    for number, segment in enumerate(segments):
        if len(keys) and segment.keys is not None and np.array_equal(segment.keys, keys):
            return np.full(len(keys), number, dtype=np.int64), np.arange(len(keys), dtype=np.int64)
    part, row = np.full(len(keys), -1, dtype=np.int64), np.full(len(keys), -1, dtype=np.int64)
    known = [segment.keys for segment in segments if segment.keys is not None and len(segment)]
    if not known or not len(keys):
        return part, row
    stored = np.concatenate(known)
    order = np.argsort(stored[:, 0])
    stored = stored[order]
    wanted = np.argsort(keys[:, 0])  # sorted needles walk the memory in order: five times faster
    place = np.searchsorted(stored[:, 0], keys[wanted, 0]).clip(max=len(stored) - 1)
    hit = (stored[place] == keys[wanted]).all(axis=1)
    sizes = np.cumsum([0, *(len(segment) for segment in segments)])
    flat_row = order[place[hit]]
    part[wanted[hit]] = np.searchsorted(sizes, flat_row, side="right") - 1
    row[wanted[hit]] = flat_row - sizes[part[wanted[hit]]]
    return part, row


def _each_once(keys: Keys) -> tuple[IntArray, IntArray]:
    """Where each distinct key comes first, int64[distinct], ascending; and for each key which of them it is."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: the first of each group is its first in the list
    ordered = keys[order]
    begins = np.ones(len(keys), dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    firsts = order[begins]
    rank = np.empty(len(firsts), dtype=np.int64)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    group = np.empty(len(keys), dtype=np.int64)
    group[order] = rank[np.cumsum(begins) - 1]
    return np.sort(firsts), group


def _tokenised(
    texts: Sequence[str], keys: Keys, rows: IntArray, tokenize: Tokenize, segments: TokenSegments | None
) -> Iterator[PackedTexts]:
    """The tokens of some rows, block by block; where there are segments to add to, each part is kept there."""
    blocks: list[PackedTexts] = []
    size = 0
    for start in range(0, len(rows), TEXTS_AT_ONCE):
        block = rows[start : start + TEXTS_AT_ONCE]
        tokens = PackedTexts.of(tokenize([texts[row] for row in block.tolist()]))
        blocks.append(PackedTexts(tokens.flat, tokens.offsets, keys[block]))
        size += len(tokens.flat)
        is_last = start + TEXTS_AT_ONCE >= len(rows)
        if is_last or size >= SEGMENT_TOKENS:
            part = join(blocks)
            blocks, size = [], 0
            yield part if segments is None else segments.add(part)
    if segments is not None and len(rows):
        segments.put_together()
