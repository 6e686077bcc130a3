"""FineTuningFeatures: what a loss sees of a batch, flat over positive x negative pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FineTuningFeatures:
    """Flat tensors over the positive x negative pairs of a batch, all on one device.

    A rank is the ranker's score of (query, item): a similarity or a distance, never a position.

    Args:
        positive_ranks: FloatTensor[pairs], rank of the pair's positive; carries the graph.
        negative_ranks: FloatTensor[pairs], rank of the pair's negative; carries the graph.
        positive_confidences: FloatTensor[pairs] in 0..1, how far the positive's event is to be believed.
        negative_confidences: FloatTensor[pairs] in 0..1, the same of the negative's lack of one.
        target: FloatTensor[pairs], t: +1 where the rank is a similarity, -1 where it is a distance.
        positive_index: LongTensor[pairs], which positive a pair belongs to: 0..num_positives-1, in any order,
            groups of any size.
        num_positives: an upper bound of positive_index, exclusive: positives that pairs were made of, counting those
            whose pairs have all been left out since (thresholds, curriculum); a positive without a pair is not among
            them.
        margin: by how much a positive should win, in units of the ranker (FineTuningParams.margin).
        is_irrelevant: BoolTensor[pairs], whether the pair comes from an irrelevant session.
        weights: FloatTensor[pairs], 0 or more: what the pair's positive is worth beside others (an inverse propensity,
            times the probability that the click is a true one); only ratios matter. None: all the same.

    Raises:
        ValueError: if the tensors do not all have the shape [pairs].
    """

    positive_ranks: Tensor
    negative_ranks: Tensor
    positive_confidences: Tensor
    negative_confidences: Tensor
    target: Tensor
    positive_index: Tensor
    num_positives: int
    margin: float
    is_irrelevant: Tensor
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors().items()}
        pairs = self.positive_ranks.shape[:1]
        if any(shape != tuple(pairs) for shape in shapes.values()):
            raise ValueError(f"every tensor of FineTuningFeatures has the shape [pairs], found {shapes}")

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.positive_ranks)

    @property
    def difference(self) -> Tensor:
        """FloatTensor[pairs]: t * (r_pos - r_neg); above 0 where the pair is ordered rightly."""
        return self.target * (self.positive_ranks - self.negative_ranks)

    @property
    def confidence(self) -> Tensor:
        """FloatTensor[pairs]: the lesser of the two confidences of a pair.

        Where positives have weights, times the weight over the mean weight of these pairs, so that the mean over pairs
        of confidence * loss is self-normalised (Swaminathan and Joachims 2015, "The self-normalized estimator for
        counterfactual learning", NIPS).
        """
        lesser = self.positive_confidences.minimum(self.negative_confidences)
        if self.weights is None:
            return lesser
        return lesser * (self.weights / self.weights.mean().clamp_min(torch.finfo(self.weights.dtype).tiny))

    @property
    def positive_weights(self) -> Tensor:
        """FloatTensor[pairs]: confidence of the pair's positive times its weight; only ratios matter."""
        return self.positive_confidences if self.weights is None else self.positive_confidences * self.weights

    def select(self, pairs: Tensor) -> FineTuningFeatures:
        """The features of some pairs only.

        Args:
            pairs: BoolTensor[pairs] (what to keep) or LongTensor[kept] (which to keep). Positives keep their
                index, so num_positives stays.
        """
        kept = {name: tensor[pairs] for name, tensor in self._tensors().items()}
        return FineTuningFeatures(**kept, num_positives=self.num_positives, margin=self.margin)

    def _tensors(self) -> dict[str, Tensor]:
        weights = {} if self.weights is None else {"weights": self.weights}
        return {
            **weights,
            "positive_ranks": self.positive_ranks,
            "negative_ranks": self.negative_ranks,
            "positive_confidences": self.positive_confidences,
            "negative_confidences": self.negative_confidences,
            "target": self.target,
            "positive_index": self.positive_index,
            "is_irrelevant": self.is_irrelevant,
        }
