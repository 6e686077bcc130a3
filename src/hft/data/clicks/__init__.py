"""How clicks are read as evidence: constants, heuristics, and click models that are fitted on the sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hft.data.clicks.cascade import CascadeModel
from hft.data.clicks.constant import ConstantConfidence
from hft.data.clicks.dbn import DynamicBayesianModel
from hft.data.clicks.evidence import Evidence, Reading
from hft.data.clicks.log import ClickLog
from hft.data.clicks.model import ClickModel, FittedClicks, preparation_for
from hft.data.clicks.position_based import GivenPropensities, PositionBasedModel, RandomisedPropensities
from hft.data.clicks.user_browsing import UserBrowsingModel
from hft.data.clicks.window import WindowConfidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "CascadeModel",
    "ClickLog",
    "ClickModel",
    "ConfidenceCalculator",
    "ConstantConfidence",
    "DynamicBayesianModel",
    "Evidence",
    "FittedClicks",
    "GivenPropensities",
    "PositionBasedModel",
    "RandomisedPropensities",
    "Reading",
    "UserBrowsingModel",
    "WindowConfidence",
    "preparation_for",
]


class ConfidenceCalculator(Protocol):
    """Gives each result of each session a confidence, by a rule that needs no fitting.

    One whose class says `each_session_alone = True` gives a session the same whatever other sessions there are: it is
    asked a batch at a time, so that no confidences of a million sessions are held. What has to be fitted is a
    ClickModel.
    """

    def __call__(self, events: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
        """`float32[results]` in (0, 1] from events `float32[results]` and offsets `int64[sessions+1]`."""
        ...
