"""Computing texts so that the numbers of each do not depend on how many stand beside it.

A float32 matrix product of few rows takes other ways on a CPU than one of many: with several threads the sum over the
inner dimension is cut among them, and fewer than 16 rows have a kernel of their own. The last bits differ. Measured
with MKL and inner dimensions up to 3,072: with 1, 2 and 4 threads all products of at least 256 rows a thread, and of 16
rows in all, give each row the same bits. Products in bf16 differ with their size in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["LEAST_ROWS", "enough_rows", "exact_rows", "is_exact"]

ROWS_A_THREAD = 256
LEAST_ROWS = 16


def is_exact(device: torch.device) -> bool:
    """Whether there are rows to be kept apart: in float32 on a CPU."""
    return device.type == "cpu" and not torch.is_autocast_enabled("cpu")


@contextmanager
def exact_rows(rows: int) -> Iterator[None]:
    """No more threads inside the block than products of so many rows have work for."""
    threads = torch.get_num_threads()
    fewer = max(1, min(threads, rows // ROWS_A_THREAD))
    if fewer == threads:
        yield
        return
    torch.set_num_threads(fewer)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def enough_rows(texts: Tensor) -> Tensor:
    """[texts, tokens, ...] with the texts once more, and again, until there are rows enough.

    Args:
        texts: [texts, tokens, ...], one or more.
    """
    count, tokens = texts.shape[:2]
    wanted = -(-LEAST_ROWS // tokens)
    return texts if count >= wanted else texts[torch.arange(wanted) % count]
