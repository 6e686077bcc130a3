from __future__ import annotations

import numpy as np
import pytest
import torch

from hft.models import CosineRanker, DotRanker, EuclideanRanker
from tolerances import rounding

# Three sums of seven terms; their size is that of two vectors of seven normal numbers, 3 each.
OF_A_RANK = 3 * 3 * rounding(terms=7, sums=3)
RANKERS = [CosineRanker(), DotRanker(), EuclideanRanker()]


def _vectors(seed: int, count: int = 5, dim: int = 7) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


def test_each_ranker_computes_its_formula() -> None:
    queries, items = _vectors(0), _vectors(1)
    q, i = queries.numpy().astype(np.float64), items.numpy().astype(np.float64)
    dot = (q * i).sum(axis=1)
    cosine = dot / np.linalg.norm(q, axis=1) / np.linalg.norm(i, axis=1)
    distance = np.linalg.norm(q - i, axis=1)
    for ranker, expected in zip(RANKERS, (cosine, dot, distance), strict=True):
        np.testing.assert_allclose(ranker(queries, items), expected, rtol=0, atol=OF_A_RANK)


def test_only_the_euclidean_rank_is_a_distance() -> None:
    assert [ranker.is_similarity for ranker in RANKERS] == [True, True, False]


@pytest.mark.parametrize("ranker", RANKERS, ids=lambda ranker: type(ranker).__name__)
def test_the_matrix_holds_the_rank_of_every_pair(ranker: torch.nn.Module) -> None:
    queries, items = _vectors(0), _vectors(1, count=4)
    expected = torch.stack([ranker(query.expand(4, -1), items) for query in queries])
    torch.testing.assert_close(ranker.matrix(queries, items), expected, rtol=0, atol=OF_A_RANK)


@pytest.mark.parametrize("ranker", RANKERS, ids=lambda ranker: type(ranker).__name__)
@pytest.mark.parametrize("form", ["pairs", "matrix"])
@pytest.mark.parametrize("case", ["equal", "zero"])
def test_gradients_are_finite_for_equal_and_for_zero_vectors(ranker: torch.nn.Module, form: str, case: str) -> None:
    queries = (_vectors(0) if case == "equal" else torch.zeros(5, 7)).requires_grad_()
    items = queries.detach().clone().requires_grad_()
    ranks = ranker(queries, items) if form == "pairs" else ranker.matrix(queries, items)
    ranks.sum().backward()
    assert torch.isfinite(ranks).all()
    assert torch.isfinite(queries.grad).all()
    assert torch.isfinite(items.grad).all()


def test_the_distance_of_equal_vectors_is_zero() -> None:
    vectors = _vectors(0)
    assert EuclideanRanker()(vectors, vectors).tolist() == [0.0] * 5
