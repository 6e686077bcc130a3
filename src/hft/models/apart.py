"""Computing texts so that the numbers of each do not depend on how many stand beside it.

A float32 matrix product of few rows takes other ways on a CPU than one of many: with several threads the sum over the
inner dimension is cut among them, and fewer than 16 rows have a kernel of their own. The last bits differ. Measured
with MKL and inner dimensions up to 3,072: with 1, 2 and 4 threads all products of at least 256 rows a thread, and of 16
rows in all, give each row the same bits. Products in bf16 differ with their size in any case.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["computed_apart"]

ROWS_A_THREAD = 256
LEAST_ROWS = 16


def computed_apart(compute: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`compute(*tensors)`, where in float32 on a CPU a text's numbers are the same in any company.

    Args:
        compute: from tensors [texts, tokens, ...] to one [texts, tokens, ...], each text on its own.
        tensors: of one number of texts and tokens.
    """
    texts, tokens = tensors[0].shape[:2]
    if tensors[0].device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return compute(*tensors)
    padded = max(texts, -(-LEAST_ROWS // tokens))
    if padded > texts:
        tensors = tuple(tensor[torch.arange(padded) % texts] for tensor in tensors)
    threads = torch.get_num_threads()
    fewer = max(1, min(threads, padded * tokens // ROWS_A_THREAD))
    if fewer == threads:
        return compute(*tensors)[:texts]
    torch.set_num_threads(fewer)
    try:
        return compute(*tensors)[:texts]
    finally:
        torch.set_num_threads(threads)
