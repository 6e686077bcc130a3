"""FineTuningFeatures: signs, selection and shapes."""

from __future__ import annotations

import pytest
import torch

from hft.losses import FineTuningFeatures, InfoNCELoss, MarginRankingLoss, ProbMarginRankingLoss
from tolerances import rounding


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


# Weights of positives


def weighted(*weights: float) -> FineTuningFeatures:
    return FineTuningFeatures(**{**vars(features()), "weights": torch.tensor(weights)})


def test_weights_are_relative_to_their_mean_so_that_their_scale_changes_nothing() -> None:
    assert weighted(1.0, 3.0).confidence.tolist() == pytest.approx([0.5 * 0.5, 0.2 * 1.5])
    assert weighted(10.0, 30.0).confidence.tolist() == pytest.approx(weighted(1.0, 3.0).confidence.tolist())
    assert weighted(2.0, 2.0).confidence.tolist() == pytest.approx(features().confidence.tolist())
    assert weighted(0.0, 0.0).confidence.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("loss", [InfoNCELoss(), MarginRankingLoss(), ProbMarginRankingLoss()])
def test_a_loss_is_the_mean_over_positives_by_weight(loss) -> None:
    """Weights 1 and 3 with confidences of 1 are one pair of the first and three of the second."""
    sure = {"positive_confidences": torch.ones(2), "negative_confidences": torch.ones(2)}
    single = [loss(FineTuningFeatures(**{**vars(features()), **sure}).select(torch.tensor([row]))) for row in (0, 1)]
    found = loss(FineTuningFeatures(**{**vars(weighted(1.0, 3.0)), **sure}))
    assert float(found) == pytest.approx(float(single[0] + 3 * single[1]) / 4, rel=20 * rounding(terms=4, sums=3))


def test_selected_pairs_keep_their_weights() -> None:
    kept = weighted(1.0, 3.0).select(torch.tensor([False, True]))
    assert kept.weights is not None
    assert kept.weights.tolist() == [3.0]
    assert kept.confidence.tolist() == pytest.approx([0.2])
