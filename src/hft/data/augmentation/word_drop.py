"""Words left out."""

from __future__ import annotations

import re
from random import Random
from typing import Annotated

from pydantic import Field

from hft.data.augmentation.base import TextAugmenter

_WORD = re.compile(r"\S+\s*")


class WordDrop(TextAugmenter):
    """Leaves words out, and never all of them. A text without blanks is one word.

    Args:
        share: of the words, 0..1; each is drawn alone.
        min_words: shorter texts stay as they are.
    """

    def __init__(
        self,
        share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1,
        min_words: Annotated[int, Field(ge=2)] = 3,
    ) -> None:
        self.share = share
        self.min_words = min_words

    def __call__(self, text: str, draw: Random) -> str:
        """See TextAugmenter."""
        words = _WORD.findall(text)
        if len(words) < self.min_words:
            return text
        kept = [word for word in words if draw.random() >= self.share]
        return "".join(kept or words[:1]).rstrip() if len(kept) < len(words) else text
