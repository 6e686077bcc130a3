"""Parts of as many sentences as fit into a number of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import regex
from pydantic import Field

from hft.data.parts.base import ItemSplitter, Span, TokenCounter
from hft.data.parts.sentences import sentence_spans
from hft.errors import ConfigError

_WORD = re.compile(r"\S+")
# What a reader takes for one character: an emoji with its modifiers, a letter with its accents.
_GRAPHEME = regex.compile(r"\X")

# (start, end, tokens) in a text.
_Unit = tuple[int, int, int]


class TokenGroupTextSplitter(ItemSplitter):
    """Groups of sentences up to a budget of tokens. A fenced block of code stays whole, and alone if it is longer than
    the budget (then the model cuts it).

    A sentence longer than the budget is cut between words, a word between characters. Tokens are counted sentence by
    sentence, which for WordPiece is exact; for other tokenizers a part may have a few more or less.

    Args:
        max_tokens: of a part, without special tokens and prompt; None: as many as the model takes
            (model.max_length). Fewer make more parts: time a token falls, and ranks are of smaller pieces.
        overlap_tokens: a part begins with the last sentences of the one before, up to so many tokens. Each costs its
            tokens again.
        max_parts: the most of an item; None: all.

    Raises:
        ConfigError: the overlap leaves no room.
    """

    def __init__(
        self,
        max_tokens: Annotated[int, Field(ge=1)] | None = None,
        overlap_tokens: Annotated[int, Field(ge=0)] = 0,
        max_parts: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        super().__init__(max_parts)
        if max_tokens is not None and overlap_tokens >= max_tokens:
            raise ConfigError(
                f"data.item_splitter.overlap_tokens: found {overlap_tokens} with max_tokens={max_tokens}. Expected "
                "less than that."
            )
        self.max_tokens = max_tokens
        self.overlap_tokens = overlap_tokens

    def parts_of(self, text: str) -> list[str]:
        """The parts of a text whose words are its tokens. For the tokens of a model see `split`."""
        return self.split_block([text], _words, self.max_tokens or len(text))[0]

    def split_block(self, texts: Sequence[str], count_tokens: TokenCounter, max_tokens: int) -> list[list[str]]:
        """See ItemSplitter."""
        budget = max_tokens if self.max_tokens is None else min(self.max_tokens, max_tokens)
        spans = [sentence_spans(text) for text in texts]
        flat = [text[start:end] for text, of_text in zip(texts, spans, strict=True) for start, end, _ in of_text]
        counts = iter(count_tokens(flat).tolist() if flat else ())
        found = []
        for text, of_text in zip(texts, spans, strict=True):
            units: list[_Unit] = []
            for start, end, is_code in of_text:
                tokens = next(counts)
                if tokens <= budget or is_code:
                    units.append((start, end, tokens))
                else:
                    units += _smaller(text, start, end, budget, count_tokens)
            groups = _grouped(units, budget, min(self.overlap_tokens, budget - 1))
            found.append([text[start:end] for start, end in groups])
        return found


def _grouped(units: Sequence[_Unit], budget: int, overlap: int) -> Iterator[Span]:
    """Spans of units put together, each as many as fit, each beginning with the end of the one before."""
    first, size = 0, 0
    for number, (_, _, tokens) in enumerate(units):
        if size and size + tokens > budget:
            yield units[first][0], units[number - 1][1]
            start, carried = number, 0
            while start > first + 1 and carried + units[start - 1][2] <= min(overlap, budget - tokens):
                start -= 1
                carried += units[start][2]
            first, size = start, carried
        size += tokens
    if units:
        yield units[first][0], units[-1][1]


def _smaller(text: str, start: int, end: int, budget: int, count_tokens: TokenCounter) -> list[_Unit]:
    """Runs of words, and of characters where a word is too long, that fit into the budget."""
    units: list[_Unit] = []
    words = [match.span() for match in _WORD.finditer(text, start, end)]
    for (first, last), tokens in zip(words, count_tokens([text[a:b] for a, b in words]).tolist(), strict=True):
        if tokens <= budget:
            units.append((first, last, tokens))
            continue
        places = [match.span() for match in _GRAPHEME.finditer(text, first, last)]
        each = count_tokens([text[a:b] for a, b in places]).tolist()
        units += [(a, b, max(1, count)) for (a, b), count in zip(places, each, strict=True)]
    pieces = list(_grouped(units, budget, 0))
    counts = count_tokens([text[a:b] for a, b in pieces]).tolist()
    return [(a, b, count) for (a, b), count in zip(pieces, counts, strict=True)]


def _words(texts: Sequence[str]) -> np.ndarray:
    return np.array([len(text.split()) for text in texts], dtype=np.int64)
