"""Rows of tokens lose their padding and get it back, and so do their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hft.models.compute.layout import Layout


def masks_of(*lengths: tuple[int, list[int]]) -> tuple[Tensor, ...]:
    return tuple(torch.arange(tokens) < torch.tensor(of_texts)[:, None] for tokens, of_texts in lengths)


def test_padding_is_left_out_and_put_back_as_zeros() -> None:
    layout = Layout(masks_of((3, [3, 1]), (4, [2])))
    rows = torch.arange(20.0).view(10, 2).requires_grad_()
    bare = layout.without_padding(rows)
    assert bare.tolist() == rows[[0, 1, 2, 3, 6, 7]].tolist()
    assert layout.starts.tolist() == [0, 3, 4, 6]
    back = layout.with_padding(bare)
    real = torch.tensor([1, 1, 1, 1, 0, 0, 1, 1, 0, 0])[:, None]
    assert torch.equal(back, rows * real)
    weight = torch.arange(20.0, 40.0).view(10, 2)
    (back * weight).sum().backward()
    assert torch.equal(rows.grad, weight * real)


@pytest.mark.parametrize("lengths", [[4, 4], [4]])
def test_where_there_is_none_rows_are_handed_through(lengths: list[int]) -> None:
    layout, rows = Layout(masks_of((4, lengths))), torch.rand(4 * len(lengths), 2)
    assert layout.without_padding(rows) is rows
    assert layout.with_padding(rows) is rows
