"""FineTuningFeatures: signs, selection and shapes."""

from __future__ import annotations

import pytest
import torch

from hft.losses import FineTuningFeatures, InfoNCELoss, MarginRankingLoss, ProbMarginRankingLoss


def features(sign: float = 1.0) -> FineTuningFeatures:
    return FineTuningFeatures(
        positive_ranks=torch.tensor([0.5, 0.1]),
        negative_ranks=torch.tensor([0.2, 0.4]),
        positive_confidences=torch.tensor([1.0, 0.2]),
        negative_confidences=torch.tensor([0.5, 0.9]),
        target=torch.full((2,), sign),
        positive_index=torch.tensor([0, 1]),
        num_positives=2,
        margin=0.1,
        is_irrelevant=torch.tensor([False, True]),
    )


@pytest.mark.parametrize(("sign", "expected"), [(1.0, [0.3, -0.3]), (-1.0, [-0.3, 0.3])])
def test_the_difference_is_positive_where_the_pair_is_ordered_rightly(sign: float, expected: list[float]) -> None:
    torch.testing.assert_close(features(sign).difference, torch.tensor(expected))


def test_the_confidence_of_a_pair_is_its_lesser_one() -> None:
    assert features().confidence.tolist() == pytest.approx([0.5, 0.2])


def test_selected_pairs_keep_the_index_of_their_positive() -> None:
    kept = features().select(torch.tensor([False, True]))
    assert len(kept) == 1
    assert kept.positive_index.tolist() == [1]
    assert kept.num_positives == 2
    assert kept.is_irrelevant.tolist() == [True]


def test_tensors_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        FineTuningFeatures(**{**vars(features()), "target": torch.ones(3)})


def test_only_infonce_ignores_the_margin() -> None:
    assert InfoNCELoss.ignores == {"margin"}
    assert not ProbMarginRankingLoss.ignores
    assert not MarginRankingLoss.ignores
