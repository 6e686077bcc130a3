"""The word vectors of a step, looked up once for all its chunks.

The gradient of a lookup is as large as the vocabulary. A step of many chunks would fill and add up many such
gradients; with a table of the step's distinct tokens between, each chunk's is as large as that table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WordTable"]


@dataclass(frozen=True)
class WordTable:
    """Word vectors of some tokens, with a gradient.

    Args:
        rows: float32[distinct tokens, width].
        places: LongTensor[vocabulary], the row of each token; 0 where a token has none.
    """

    rows: Tensor
    places: Tensor

    @classmethod
    def of(cls, embedding: nn.Embedding, tokens: npt.NDArray[np.int32], pad_id: int) -> WordTable:
        """The table of the distinct tokens of a step, and of the padding."""
        is_used = np.zeros(embedding.num_embeddings, dtype=bool)
        is_used[tokens] = True
        is_used[pad_id] = True
        places = torch.from_numpy(np.cumsum(is_used) - 1).clamp_min_(0)
        distinct = torch.from_numpy(np.flatnonzero(is_used))
        return cls(functional.embedding(distinct, embedding.weight, embedding.padding_idx), places)

    def __call__(self, ids: Tensor) -> Tensor:
        """float32[..., width] of LongTensor[...] tokens."""
        return functional.embedding(self.places[ids], self.rows)
