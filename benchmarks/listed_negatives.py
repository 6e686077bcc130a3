"""InfoNCE for sentence-transformers over a row's own negatives only. Not a benchmark itself."""

from __future__ import annotations

import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor
from torch.nn import functional


class ListedNegativesLoss(MultipleNegativesRankingLoss):
    """MultipleNegativesRankingLoss without the negatives of the other rows of the batch, which that loss adds.

    Embedding is the base class's, all columns in one forward pass; only the last few thousand multiplications differ.
    """

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor) -> Tensor:
        """FloatTensor[]: cross entropy of the first candidate among a row's own candidates.

        Args:
            embeddings: FloatTensor[rows, dim] of queries, of positives, then of each column of negatives.
            labels: not used.
        """
        vectors = functional.normalize(torch.stack(embeddings).float(), dim=-1)
        scores = self.scale * torch.einsum("rd,crd->rc", vectors[0], vectors[1:])
        return functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long, device=scores.device))
