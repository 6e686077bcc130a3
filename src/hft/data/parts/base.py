"""What a splitter of items is, and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Tokens of each text, int64[texts], special tokens left out, nothing cut.
TokenCounter = Callable[[Sequence[str]], "NDArray[np.int64]"]
Span = tuple[int, int]

# Items split at once: what Python holds of their parts is bounded by it.
ITEMS_AT_ONCE = 1024


@dataclass(frozen=True)
class Parts:
    """The parts of items, item after item.

    Args:
        texts: large_string[parts].
        offsets: int64[items + 1], the part at which each item starts; every item has one at least.
        left_out: parts beyond the most that an item may have.
    """

    texts: pa.ChunkedArray
    offsets: NDArray[np.int64]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def lines(self) -> list[str]:
        """For people: how many parts, and what was left out."""
        counts = np.diff(self.offsets)
        found = [
            f"items in parts: {len(self):,} parts of {len(counts):,} items, "
            f"{len(self) / max(len(counts), 1):.1f} each, at most {int(counts.max(initial=0))}"
        ]
        if self.left_out:
            found.append(f"{self.left_out:,} parts beyond data.item_splitter.max_parts were left out")
        return found


class ItemSplitter(ABC):
    """Splits texts of items into parts. One without a boundary is one part: itself.

    Args:
        max_parts: the most that an item may have, the first ones; None: all. It bounds the cost of a long item.
    """

    def __init__(self, max_parts: int | None = None) -> None:
        self.max_parts = max_parts

    @abstractmethod
    def parts_of(self, text: str) -> list[str]:
        """The parts of one text, in its order; empty ones are taken out afterwards."""

    def split(self, texts: Iterable[str], count_tokens: TokenCounter, max_tokens: int) -> Parts:
        """The parts of many texts.

        Args:
            texts: one an item.
            count_tokens: of the model that embeds the parts.
            max_tokens: that it takes of a text; what is beyond it cuts.
        """
        offsets, left_out, blocks = array("q", [0]), 0, []
        for block in _blocks(texts, ITEMS_AT_ONCE):
            found: list[str] = []
            for text, parts in zip(block, self.split_block(block, count_tokens, max_tokens), strict=True):
                kept = [part for part in map(str.strip, parts) if part] or [text]
                most = len(kept) if self.max_parts is None else self.max_parts
                found += kept[:most]
                left_out += len(kept) - len(kept[:most])
                offsets.append(offsets[-1] + len(kept[:most]))
            blocks.append(pa.array(found, type=pa.large_string()))
        return Parts(pa.chunked_array(blocks, type=pa.large_string()), np.array(offsets, dtype=np.int64), left_out)

    def split_block(self, texts: Sequence[str], count_tokens: TokenCounter, max_tokens: int) -> list[list[str]]:
        """The parts of some texts; a splitter that counts tokens counts those of all of them at once."""
        return [self.parts_of(text) for text in texts]


def grouped_spans(spans: Sequence[Span], size: int, overlap: int) -> list[Span]:
    """Spans put together by so many, each group beginning with the last `overlap` of the one before."""
    step = size - overlap
    starts = range(0, max(len(spans) - overlap, 1), step)
    return [(spans[at][0], spans[min(at + size, len(spans)) - 1][1]) for at in starts if spans]


def _blocks(texts: Iterable[str], size: int) -> Iterator[list[Any]]:
    block: list[str] = []
    for text in texts:
        block.append(text)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
