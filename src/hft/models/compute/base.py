"""What a tower needs of the computation of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hft.models.compute.words import WordTable

__all__ = ["EncoderCompute", "Piece"]


@dataclass(frozen=True)
class Piece:
    """Texts of one padded length.

    Args:
        ids: LongTensor[texts, tokens], padded on the right.
        mask: BoolTensor[texts, tokens], true for a token.
        kept: [texts, tokens, width], what is kept of the first layers; None: nothing.
    """

    ids: Tensor
    mask: Tensor
    kept: Tensor | None = None


class EncoderCompute(Protocol):
    """Computes an encoder's layers; holds no weights of its own.

    Layers are numbered from the input, and a cut lies after so many of them: 0 is what the embeddings give.

    Attributes:
        name: of the way of computing; part of the key of what is kept of its results.
        checkpoint_layers: whether a layer keeps its input alone for the backward pass, and is computed again there.
    """

    name: str
    checkpoint_layers: bool

    def begin(self, tokens: npt.NDArray[np.int32], pad_id: int) -> WordTable | None:
        """Call it before the chunks of a batch of texts: weights may have moved since the last one.

        Args:
            tokens: of all texts of the batch.
            pad_id: the token that texts are padded with.

        Returns:
            what the chunks share; None where there is nothing to share.
        """
        ...

    def hidden(self, ids: Tensor, mask: Tensor, words: WordTable | None = None) -> Tensor:
        """Float tensor [texts, tokens, width] of the last layer.

        Args:
            ids: LongTensor[texts, tokens], padded on the right.
            mask: BoolTensor[texts, tokens], true for a token.
            words: as `begin` gave it for the batch that these texts are of.
        """
        ...

    def hidden_of(self, pieces: Sequence[Piece], words: WordTable | None = None, cut: int = 0) -> list[Tensor]:
        """What `hidden` gives for each of some pieces, which are computed together where that is faster.

        Args:
            pieces: either all or none with what is kept of them.
            words: as for `hidden`.
            cut: where what is kept was taken.
        """
        ...

    def up_to(self, ids: Tensor, mask: Tensor, cut: int) -> Tensor:
        """Float tensor [texts, tokens, width]: what the first `cut` layers give."""
        ...

    def from_cut(self, hidden: Tensor, ids: Tensor, mask: Tensor, cut: int) -> Tensor:
        """What `hidden` gives, from what `up_to` gives at the same cut: the layers after it alone."""
        ...

    def between(self, hidden: Tensor, ids: Tensor, mask: Tensor, cut: int, later: int) -> Tensor:
        """What `up_to` gives at a later cut, from what it gives at an earlier one."""
        ...

    def supports_cut(self, cut: int) -> bool:
        """Whether the two halves at a cut give what the whole gives, to the last bit."""
        ...
