"""Which texts are augmented, and the draw that decides how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import blake2b
from random import Random
from typing import Annotated, Literal

from pydantic import Field


class TextAugmenter(ABC):
    """Makes a variant of a text. It never leaves half of what a reader takes for one character."""

    @abstractmethod
    def __call__(self, text: str, draw: Random) -> str:
        """A variant, which may be the text itself.

        Args:
            text: to change.
            draw: the only source of randomness.
        """


class Augmentation:
    """What becomes of the texts of a run.

    A variant is decided by the seed, the epoch and the text, and by nothing else: not by the order of texts, the
    batch, the number of workers or an interruption.

    Args:
        queries: changes queries; None leaves them.
        items: changes items (their parts, where they are in parts); None leaves them.
        share: of the texts that are changed, 0..1, drawn anew for each epoch.
        do_augment_test: change the texts of validation and test as well, the same for every seed and at every look, to
            measure how well a model bears it. Metrics are then no longer comparable with runs that do not.
    """

    def __init__(
        self,
        queries: TextAugmenter | None = None,
        items: TextAugmenter | None = None,
        share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5,
        do_augment_test: bool = False,
    ) -> None:
        self._augmenters = {"query": queries, "items": items}
        self.share = share
        self.do_augment_test = do_augment_test

    def changes(self, side: Literal["query", "items"]) -> bool:
        """Whether texts of a side are changed at all."""
        return self._augmenters[side] is not None

    def variant(self, text: str, side: Literal["query", "items"], seed: int, epoch: int) -> str:
        """The text as it is in an epoch."""
        augment = self._augmenters[side]
        if augment is None:
            return text
        told = f"{seed}:{epoch}:".encode() + text.encode("utf-8", "surrogatepass")
        draw = Random(int.from_bytes(blake2b(told, digest_size=16).digest(), "little"))
        if draw.random() >= self.share:
            return text
        found = augment(text, draw)
        return found if found.strip() else text
