"""What is known to be relevant, as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Labels:
    """What is known to be relevant, ragged by session.

    Args:
        offsets: `int64[sessions+1]` into the other two.
        rows: `int32[labels]` rows of the ItemsSet.
        grades: `float32[labels]` relevance, 0 for an item that is known not to be relevant.
    """

    offsets: NDArray[np.int64]
    rows: NDArray[np.int32]
    grades: NDArray[np.float32]


def any_positive(values: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`bool[sessions]`: whether a ragged row has a value above 0."""
    total = np.concatenate([[0], np.cumsum(values > 0)])
    return np.asarray(total[offsets[1:]] > total[offsets[:-1]], dtype=np.bool_)
