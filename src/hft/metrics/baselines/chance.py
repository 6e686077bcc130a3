"""Random order: what every other number has to be read against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]


class RandomBaseline:
    """Any order is as likely as any other.

    Args:
        seed: of the draw.
    """

    name: ClassVar[str] = "random"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def shown(self, queries: Sequence[str], results: Ints, offsets: Ints) -> npt.NDArray[np.float64]:
        """float64[results]: see Baseline."""
        return np.random.default_rng(self._seed).random(len(results))

    def corpus(self, queries: Sequence[str], pool: Ints, depth: int) -> npt.NDArray[np.int64]:
        """int64[queries, min(depth, pool)]: see Baseline."""
        random = np.random.default_rng(self._seed)
        kept = min(depth, len(pool))
        drawn = [random.choice(len(pool), kept, replace=False) for _ in queries]
        columns = np.array(drawn, dtype=np.int64).reshape(len(queries), kept)
        return np.asarray(pool, dtype=np.int64)[columns]
