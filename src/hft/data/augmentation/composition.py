"""Several augmenters, one after the other."""

from __future__ import annotations

from random import Random
from typing import Annotated

from pydantic import Field

from hft.data.augmentation.base import TextAugmenter


class Composition(TextAugmenter):
    """Applies augmenters in their order.

    Args:
        steps: the augmenters.
        share: of a text's steps that are applied, each by a draw of its own, 0..1.
    """

    def __init__(
        self,
        steps: Annotated[list[TextAugmenter], Field(min_length=1)],
        share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0,
    ) -> None:
        self.steps = list(steps)
        self.share = share

    def __call__(self, text: str, draw: Random) -> str:
        """See TextAugmenter."""
        for step in self.steps:
            if draw.random() < self.share:
                text = step(text, draw)
        return text
