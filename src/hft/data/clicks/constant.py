"""Every event, and every absence of one, is believed to the same degree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ConstantConfidence:
    """The same confidence for each result.

    Args:
        value: the confidence, above 0 and at most 1.
    """

    each_session_alone: ClassVar[bool] = True

    def __init__(self, value: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0) -> None:
        self.value = value

    def __call__(self, events: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
        """`float32[results]` in (0, 1].

        Args:
            events: `float32[results]` weights, session after session.
            offsets: `int64[sessions+1]` into events.
        """
        return np.full(len(events), self.value, dtype=np.float32)
