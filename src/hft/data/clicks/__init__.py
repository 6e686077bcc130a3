"""How far an event, or its absence, is to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hft.data.clicks.constant import ConstantConfidence
from hft.data.clicks.window import WindowConfidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ConfidenceCalculator", "ConstantConfidence", "WindowConfidence"]


class ConfidenceCalculator(Protocol):
    """Gives each result of each session a confidence.

    One whose class says `each_session_alone = True` gives a session the same whatever other sessions there are: it is
    asked a batch at a time, so that no confidences of a million sessions are held.
    """

    def __call__(self, events: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
        """`float32[results]` in (0, 1] from events `float32[results]` and offsets `int64[sessions+1]`."""
        ...
