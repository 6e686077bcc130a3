"""Where sentences end, in any script, and code that no sentence may cut."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from hft.data.parts.base import ItemSplitter, Span, grouped_spans
from hft.errors import ConfigError

# A mark with blanks after it; a full-width mark with or without; a line's end that no lower-case word goes on after.
_CLOSING = "[\"'”’»)\\]」』）]*"
_END = re.compile(
    rf"[.!?…]+{_CLOSING}(?=\s)"
    rf"|[。！？｡]+{_CLOSING}"
    rf"|[؟۔।॥]+{_CLOSING}"
    r"|(?=\n[^\S\n]*\n)"
    r"|(?=\n[^\S\n]*[^\s])"
)
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n.*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
# What stands before a full stop that ends no sentence.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“])(?:[A-ZÀ-ÖØ-ÞΑ-ΩА-ЯЁ]|[A-Za-z](?:\.[A-Za-z])+|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|no|No|fig|Fig|al|Inc|Ltd|Co|approx|"
    r"Dept|ca|cf|bzw|z\.B|d\.h|Nr|usw)$"
)


def code_spans(text: str) -> list[Span]:
    """Fenced blocks of code, (start, end) in characters; one that is not closed goes to the end."""
    return [match.span() for match in _FENCE.finditer(text)] if "```" in text or "~~~" in text else []


def sentence_spans(text: str) -> list[tuple[int, int, bool]]:
    """(start, end, whether it is a block of code) of each sentence and each fenced block of code, in characters.

    A line's end ends a sentence unless a lower-case letter follows. Full stops after initials and usual abbreviations
    do not.
    """
    found: list[tuple[int, int, bool]] = []
    at = 0
    for start, end in [*code_spans(text), (len(text), len(text))]:
        found += [(first, last, False) for first, last in _prose(text, at, start)]
        if end > start:
            found.append((start, end, True))
        at = end
    return found


def _prose(text: str, start: int, end: int) -> list[Span]:
    spans, begin = [], start
    for match in _END.finditer(text, start, end):
        stop = match.end()
        if stop <= begin or not _ends(text, match, begin, end):
            continue
        spans.append((begin, stop))
        begin = stop
    spans.append((begin, end))
    trimmed = (_trimmed(text, first, last) for first, last in spans)
    return [(first, last) for first, last in trimmed if first < last]


def _ends(text: str, match: re.Match[str], begin: int, end: int) -> bool:
    following = text[match.end() : min(match.end() + 40, end)].lstrip()
    if not match.group():  # a line's end
        return "\n\n" in text[match.end() : match.end() + 3].replace(" ", "") or not following[:1].islower()
    if match.group().rstrip("\"'”’»)]」』）") != ".":
        return True
    return not following[:1].islower() and not _ABBREVIATION.search(
        text[max(begin, match.start() - 12) : match.start()]
    )


def _trimmed(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


class SentenceSplitter(ItemSplitter):
    """Parts of so many sentences; a fenced block of code counts as one and stays whole.

    Args:
        sentences: in a part; fewer make more parts, which cost time in proportion, and say less each.
        overlap: sentences that a part begins with from the end of the one before.
        max_parts: the most of an item; None: all.

    Raises:
        ConfigError: the overlap is a whole part.
    """

    def __init__(
        self,
        sentences: Annotated[int, Field(ge=1)] = 3,
        overlap: Annotated[int, Field(ge=0)] = 0,
        max_parts: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        super().__init__(max_parts)
        if overlap >= sentences:
            raise ConfigError(
                f"data.item_splitter.overlap: found {overlap} with sentences={sentences}. Expected less than that."
            )
        self.sentences = sentences
        self.overlap = overlap

    def parts_of(self, text: str) -> list[str]:
        """See ItemSplitter."""
        spans = [(start, end) for start, end, _ in sentence_spans(text)]
        return [text[start:end] for start, end in grouped_spans(spans, self.sentences, self.overlap)]
