"""Other upper and lower case."""

from __future__ import annotations

import re
from random import Random
from typing import Annotated, Literal

from pydantic import Field

from hft.data.augmentation.base import TextAugmenter

_WORD = re.compile(r"\S+")


class ChangeCases(TextAugmenter):
    """Changes the case of a whole text. Scripts without cases stay as they are.

    A model that tells no cases apart (uncased, as MiniLM) sees no difference.

    Args:
        to: of which one is drawn for each text: `lower`, `upper`, `title` (each word's first letter large), `first`
            (the text's first letter large, all else small).
    """

    def __init__(
        self,
        to: Annotated[list[Literal["lower", "upper", "title", "first"]], Field(min_length=1)] | None = None,
    ) -> None:
        self.to = ["lower", "upper", "title"] if to is None else list(to)

    def __call__(self, text: str, draw: Random) -> str:
        """See TextAugmenter."""
        kind = draw.choice(self.to)
        if kind == "upper":
            return text.upper()
        if kind == "title":
            return _WORD.sub(lambda word: word.group()[0].upper() + word.group()[1:], text)
        lower = text.lower()
        return lower if kind == "lower" else lower[:1].upper() + lower[1:]
