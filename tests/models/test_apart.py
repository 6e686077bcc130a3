"""A text's float32 numbers do not depend on how many texts stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from hft.models.compute.apart import enough_rows, exact_rows


def apart(layer: Callable[[Tensor], Tensor], texts: Tensor) -> Tensor:
    with exact_rows(texts.shape[0] * texts.shape[1]):
        return layer(enough_rows(texts))[: len(texts)]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_number_of_texts_gives_the_same_bits(threads: int) -> None:
    torch.manual_seed(0)
    # 1,536 to 384 is what MiniLM's layers multiply by; MKL cuts such sums among threads where rows are few.
    layer = torch.nn.Linear(1536, 384)
    texts = torch.randn(128, 8, 1536)
    with torch.no_grad():
        whole = apart(layer, texts)
        for count in (1, 2, 3, 8, 9, 16, 24, 31, 64, 100):
            assert torch.equal(apart(layer, texts[:count]), whole[:count]), count
    assert torch.get_num_threads() == threads


def test_threads_are_put_back_when_it_fails(threads: int) -> None:
    def fail(_: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        apart(fail, torch.zeros(1, 8, 4))
    assert torch.get_num_threads() == threads
