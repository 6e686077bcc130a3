"""Ranks of pairs, and the pairs that thresholds and curriculum leave to a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hft.losses import FineTuningFeatures
from hft.models import CosineRanker, EuclideanRanker
from hft.settings import FineTuningParams
from hft.training.batching import PairTensors
from hft.training.pairs import HARD_EDGE, SOFT_EDGE, ExamplesType
from hft.training.ranks import pair_features, select_pairs


def features_of(differences: list[float], irrelevant: list[bool] | None = None, sign: float = 1.0) -> Any:
    """Pairs with these t * (rank of the positive - rank of the negative)."""
    size = len(differences)
    ones = torch.ones(size)
    return FineTuningFeatures(
        positive_ranks=sign * torch.tensor(differences, dtype=torch.float64),
        negative_ranks=torch.zeros(size, dtype=torch.float64),
        positive_confidences=ones,
        negative_confidences=ones,
        target=sign * ones,
        positive_index=torch.arange(size),
        num_positives=size,
        margin=0.1,
        is_irrelevant=torch.tensor(irrelevant or [False] * size),
    )


def kept(features: FineTuningFeatures, code: int = 11, **params: Any) -> list[int]:
    return select_pairs(features, FineTuningParams(**params), ExamplesType(code)).positive_index.tolist()


@pytest.mark.parametrize("ranker", [CosineRanker(), EuclideanRanker()])
def test_a_rank_is_the_rankers_score_of_query_and_item(ranker: Any) -> None:
    torch.manual_seed(0)
    queries, items = torch.randn(2, 4), torch.randn(3, 4)
    pairs = PairTensors(
        positive_query=torch.tensor([0, 1]),
        positive_item=torch.tensor([2, 0]),
        negative_query=torch.tensor([0, 0]),
        negative_item=torch.tensor([1, 1]),
        positive_confidence=torch.tensor([0.5, 1.0]),
        negative_confidence=torch.tensor([1.0, 0.25]),
        positive_index=torch.tensor([1, 0]),
        is_irrelevant=torch.tensor([False, True]),
        num_positives=2,
    )
    features = pair_features(ranker, queries, items, pairs, sign=-1.0, margin=0.3)
    torch.testing.assert_close(features.positive_ranks, ranker(queries, items[[2, 0]]))
    torch.testing.assert_close(features.negative_ranks, ranker(queries[[0, 0]], items[[1, 1]]))
    assert features.target.tolist() == [-1.0, -1.0]
    assert (features.num_positives, features.margin) == (2, 0.3)
    assert features.confidence.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ExamplesType.HARD_ALL, [0, 1]),
        (ExamplesType.MEDIUM_ALL, [2, 3]),
        (ExamplesType.SOFT_ALL, [4, 5]),
        (ExamplesType.HARD_POSITIVE, [0]),
        (ExamplesType.HARD_NEGATIVE, [1]),
        (ExamplesType.MEDIUM_POSITIVE, [2]),
        (ExamplesType.MEDIUM_NEGATIVE, [3]),
        (ExamplesType.SOFT_POSITIVE, [4]),
        (ExamplesType.SOFT_NEGATIVE, [5]),
        (ExamplesType.NEGATIVE_ONLY, [1, 3, 5]),
        (ExamplesType.ALL_EXAMPLES, [0, 1, 2, 3, 4, 5]),
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_each_code_takes_its_band_of_difficulty_and_its_sessions(
    code: ExamplesType, expected: list[int], sign: float
) -> None:
    differences = [-0.5, -0.01, HARD_EDGE, SOFT_EDGE - 0.01, SOFT_EDGE, 2.0]
    features = features_of(differences, [False, True] * 3, sign)
    assert kept(features, code) == expected


def test_pairs_whose_ranks_differ_by_less_than_the_minimum_are_left_out() -> None:
    features = features_of([-0.3, -0.1, 0.0, 0.1, 0.3])
    assert kept(features, min_abs_difference_threshold=0.1) == [0, 1, 3, 4]
    assert kept(features, min_abs_difference_threshold=0.0) == [0, 1, 2, 3, 4]


def test_pairs_whose_ranks_differ_by_more_than_the_maximum_are_left_out() -> None:
    features = features_of([-0.3, -0.1, 0.0, 0.1, 0.3])
    assert kept(features, max_abs_difference_threshold=0.1) == [1, 2, 3]
    assert kept(features, max_abs_difference_threshold=None) == [0, 1, 2, 3, 4]


def test_selection_has_no_part_in_the_gradient_and_may_leave_nothing() -> None:
    features = features_of([0.1, 0.2])
    assert kept(features, min_abs_difference_threshold=0.5) == []
    assert len(select_pairs(features, FineTuningParams(min_abs_difference_threshold=0.5), ExamplesType(11))) == 0
