"""From vectors to FineTuningFeatures: the ranks of the pairs, and which pairs a step trains on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from hft.losses import FineTuningFeatures
from hft.settings import FineTuningParams
from hft.training.batching import PairTensors
from hft.training.pairs import HARD_EDGE, SOFT_EDGE, ExamplesType
from hft.training.parts import PartsOfItems


class Ranker(Protocol):
    """Gives the rank of (query, item): a similarity or a distance."""

    is_similarity: bool

    def __call__(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[pairs] from FloatTensor[pairs, dim] twice."""
        ...

    def matrix(self, queries: Tensor, items: Tensor) -> Tensor:
        """FloatTensor[queries, items] from FloatTensor[queries, dim] and FloatTensor[items, dim]."""
        ...


def full_precision(device_type: str) -> AbstractContextManager[None]:
    """Autocast off: ranks decide on orders and losses, and bf16 keeps three digits of a cosine."""
    context: AbstractContextManager[None] = torch.autocast(device_type, enabled=False)
    return context


def pair_features(
    ranker: Ranker,
    queries: Tensor,
    items: Tensor,
    pairs: PairTensors,
    *,
    sign: float,
    margin: float,
    parts: PartsOfItems | None = None,
) -> FineTuningFeatures:
    """Ranks of all pairs of a batch.

    Args:
        ranker: from the settings.
        queries: FloatTensor[distinct queries, dim].
        items: FloatTensor[distinct items, dim], or of all their parts.
        pairs: indices into the two.
        sign: +1.0 where a higher rank is better, -1.0 where a lower one is.
        margin: handed to the loss.
        parts: how the ranks of parts become those of items; None: items are not in parts.
    """
    with full_precision(queries.device.type):
        ranks = ranker.matrix(queries, items)
        if parts is not None:
            ranks = parts.ranks(ranks, sign)
    positive = ranks[pairs.positive_query, pairs.positive_item]
    return FineTuningFeatures(
        positive_ranks=positive,
        negative_ranks=ranks[pairs.negative_query, pairs.negative_item],
        positive_confidences=pairs.positive_confidence,
        negative_confidences=pairs.negative_confidence,
        target=torch.full_like(positive, sign),
        positive_index=pairs.positive_index,
        num_positives=pairs.num_positives,
        margin=margin,
        is_irrelevant=pairs.is_irrelevant,
        weights=pairs.weight,
    )


def select_pairs(features: FineTuningFeatures, params: FineTuningParams, stage: ExamplesType) -> FineTuningFeatures:
    """The pairs that the thresholds and the curriculum leave.

    Thresholds and difficulty look at the ranks of this step, without a gradient.
    """
    bounds = params.min_abs_difference_threshold, params.max_abs_difference_threshold
    if stage is ExamplesType.ALL_EXAMPLES and bounds[0] <= 0 and bounds[1] is None:
        return features  # nothing to ask a GPU for
    keep = _of_stage(features, stage)
    gap = (features.positive_ranks - features.negative_ranks).detach().abs()
    if bounds[0] > 0:
        keep = keep & (gap >= bounds[0])
    if bounds[1] is not None:
        keep = keep & (gap <= bounds[1])
    return features if bool(keep.all()) else features.select(keep)


def _of_stage(features: FineTuningFeatures, stage: ExamplesType) -> Tensor:
    """BoolTensor[pairs]: whether a pair is of the stage's kind."""
    difference = features.difference.detach()
    kind, _, source = stage.name.partition("_")
    if kind == "HARD":
        keep = difference < HARD_EDGE
    elif kind == "MEDIUM":
        keep = (difference >= HARD_EDGE) & (difference < SOFT_EDGE)
    elif kind == "SOFT":
        keep = difference >= SOFT_EDGE
    else:
        keep = torch.ones_like(features.is_irrelevant)
    if source == "POSITIVE":
        return keep & ~features.is_irrelevant
    if source == "NEGATIVE" or stage is ExamplesType.NEGATIVE_ONLY:
        return keep & features.is_irrelevant
    return keep
