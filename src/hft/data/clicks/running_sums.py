"""Sums along each list of a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.clicks.log import ClickLog

# No probability is 0, however long a list.
_LOWEST_LOGARITHM = -500.0


def sums_to(values: NDArray[np.float64], log: ClickLog) -> NDArray[np.float64]:
    """`float64[results]`: the sum of the values from the top of the list down to each result, itself included."""
    total: NDArray[np.float64] = np.cumsum(values)
    before = np.concatenate([[0.0], total])[log.offsets[:-1]]
    return np.asarray(total - np.repeat(before, log.lengths), dtype=np.float64)


def sums_above(values: NDArray[np.float64], log: ClickLog) -> NDArray[np.float64]:
    """`float64[results]`: the same without the result itself."""
    return sums_to(values, log) - values


def products_above(values: NDArray[np.float64], log: ClickLog) -> NDArray[np.float64]:
    """`float64[results]` above 0 and at most 1: the product of probabilities from the top of the list down to each
    result, without its own.

    Args:
        values: `float64[results]`, logarithms of probabilities.
        log: whose lists they belong to.
    """
    return np.exp(np.clip(sums_above(values, log), _LOWEST_LOGARITHM, 0.0))
