"""Position-based models: a click needs that its position was examined, and that the result attracts.

P(click at position k) = examination[k] * attraction[query, item]. Sources: Richardson et al. 2007, "Predicting clicks";
Craswell et al. 2008, "An experimental comparison of click position-bias models"; as evidence for training: Joachims,
Swaminathan and Schnabel 2017, "Unbiased learning-to-rank with biased feedback"; Wang et al. 2018, "Position bias
estimation for unbiased learning to rank in personal search".
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from hft.data.clicks.evidence import Reading, unclicked
from hft.data.clicks.log import ClickLog, Pairs, first_positions, position_classes
from hft.data.clicks.model import ClickModel, ReadsClicks
from hft.data.clicks.relative import Cells, fit_attraction, fit_examination, linked_contexts, require_linked
from hft.data.clicks.two_valued import TwoValuedStart, fit_two_valued
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Examined impressions of mean attraction that are added to each (query, item).
_PRIOR_IMPRESSIONS = 1.0
# Positions below which given propensities have the value of this one.
_DEEPEST = 1 << 20
# A randomised batch tells little with fewer clicks.
_FEWEST_CLICKS = 100


@dataclass(frozen=True)
class PositionBasedFit:
    """Examination by position class, relative to the highest.

    Args:
        examination: `float64[classes]`; deeper positions take the last.
        notes: lines for people.
    """

    examination: NDArray[np.float64]
    notes: tuple[str, ...]

    def by_position(self) -> NDArray[np.float64]:
        """`float64[classes]`."""
        return self.examination

    def read(self, log: ClickLog) -> Reading:
        """See ReadsClicks. Attraction is what the log's own clicks say."""
        pairs, index = Pairs.of(log)
        classes = capped_classes(log, len(self.examination))
        cells = Cells.of(index, classes, log.clicks, len(pairs), len(self.examination))
        attraction, _ = fit_attraction(cells, self.examination, _PRIOR_IMPRESSIONS)
        propensities = self.examination[classes]
        examined, irrelevant = unclicked(propensities, attraction[index])
        return Reading(propensities, np.where(log.clicks, 1.0, examined), irrelevant)


class ByPosition(ClickModel):
    """What position-based models share: where examination comes from differs.

    Args:
        false_clicks: whether an examined result that is not relevant draws clicks too; relevance is then two-valued,
            and clicks are corrected by the probability that they are true.
        weighting, clip, unexamined_negatives: see ClickModel.
    """

    def __init__(
        self,
        false_clicks: bool = False,
        weighting: Literal["ips", "pairwise", "none"] = "ips",
        clip: Annotated[float, Field(ge=1.0)] = 10.0,
        unexamined_negatives: bool = True,
    ) -> None:
        super().__init__(weighting, clip, unexamined_negatives)
        self.false_clicks = false_clicks

    @abstractmethod
    def examination(self, log: ClickLog, cells: Cells) -> tuple[NDArray[np.float64], str]:
        """(`float64[classes]` relative to the highest, a line for people)."""

    def known_positions(self) -> int:
        """How many positions from the top the model knows of, whatever the log holds."""
        return 0

    def _fit(self, log: ClickLog) -> ReadsClicks:
        pairs, index = Pairs.of(log)
        classes = position_classes(log.positions)
        deepest = max(int(log.positions.max()), self.known_positions() - 1)
        cells = Cells.of(index, classes, log.clicks, len(pairs), int(position_classes(np.array(deepest))) + 1)
        examination, note = self.examination(log, cells)
        if not self.false_clicks:
            return PositionBasedFit(examination, (note, _shown(examination)))
        return self._with_false_clicks(cells, examination, note)

    def _with_false_clicks(self, cells: Cells, examination: NDArray[np.float64], note: str) -> ReadsClicks:
        return fit_two_valued(cells, TwoValuedStart(examination, is_fixed=True, trust_bias=False), (note,))


class PositionBasedModel(ByPosition):
    """Examination fitted on results that change their position for a query.

    Args:
        false_clicks: whether an examined result that is not relevant draws clicks too, at a rate that is fitted (EM;
            relevance is two-valued). It needs several impressions of a (query, item).
        trust_bias: besides, both rates differ by position, for people trust what stands high (Agarwal et al. 2019,
            "Addressing trust bias for unbiased learning-to-rank").
        weighting, clip, unexamined_negatives: see ClickModel.
    """

    def __init__(
        self,
        false_clicks: bool = False,
        trust_bias: bool = False,
        weighting: Literal["ips", "pairwise", "none"] = "ips",
        clip: Annotated[float, Field(ge=1.0)] = 10.0,
        unexamined_negatives: bool = True,
    ) -> None:
        super().__init__(false_clicks or trust_bias, weighting, clip, unexamined_negatives)
        self.trust_bias = trust_bias

    def examination(self, log: ClickLog, cells: Cells) -> tuple[NDArray[np.float64], str]:
        """Fitted on (query, item) pairs that were shown at several positions.

        Raises:
            DataError: the log cannot tell examination from attraction.
        """
        linked = linked_contexts(cells)
        require_linked(linked, type(self).__name__)
        found, steps = fit_examination(cells, linked)
        return found, (
            f"position-based model: fitted on {len(log):,} sessions in {steps} steps, from {linked.num_moved:,} "
            f"clicked results that changed their position for a query"
        )

    def _with_false_clicks(self, cells: Cells, examination: NDArray[np.float64], note: str) -> ReadsClicks:
        start = TwoValuedStart(examination, is_fixed=False, trust_bias=self.trust_bias)
        return fit_two_valued(cells, start, (note,))


class GivenPropensities(ByPosition):
    """Examination as it is known from elsewhere: an experiment, an eye-tracking study, a simulator.

    Args:
        propensities: probability of examination by position from the top; deeper positions take the last. Only their
            ratios matter. None: as eta says.
        eta: examination is 1 / position^eta, where no propensities are given.
        false_clicks: see PositionBasedModel.
        weighting, clip, unexamined_negatives: see ClickModel.
    """

    def __init__(
        self,
        propensities: Annotated[list[Annotated[float, Field(gt=0.0, le=1.0)]], Field(min_length=1)] | None = None,
        eta: Annotated[float, Field(ge=0.0, le=5.0)] = 0.5,
        false_clicks: bool = False,
        weighting: Literal["ips", "pairwise", "none"] = "ips",
        clip: Annotated[float, Field(ge=1.0)] = 10.0,
        unexamined_negatives: bool = True,
    ) -> None:
        super().__init__(false_clicks, weighting, clip, unexamined_negatives)
        self.propensities = None if propensities is None else [float(value) for value in propensities]
        self.eta = eta

    def known_positions(self) -> int:
        """As many as are given, or any that a list may have: of lists that are longer than those of the fit, too."""
        return _DEEPEST if self.propensities is None else len(self.propensities)

    def examination(self, log: ClickLog, cells: Cells) -> tuple[NDArray[np.float64], str]:
        """As it was given; a class of deep positions has the value of its first."""
        first = first_positions(cells.num_contexts)
        if self.propensities is None:
            return np.asarray(
                (first + 1.0) ** -self.eta, dtype=np.float64
            ), f"propensities: given, 1 / position^{self.eta:g}"
        given = np.asarray(self.propensities, dtype=np.float64)
        return given[np.minimum(first, len(given) - 1)] / given.max(), "propensities: given"


class RandomisedPropensities(ByPosition):
    """Examination from a batch of sessions whose results were shown in random order.

    In such a batch all positions hold equally good results, so that clicks by position are examination (Joachims et al.
    2017, section 5.1).

    Args:
        bucket: the batch id of those sessions.
        false_clicks: see PositionBasedModel.
        weighting, clip, unexamined_negatives: see ClickModel.
    """

    def __init__(
        self,
        bucket: str | int,
        false_clicks: bool = False,
        weighting: Literal["ips", "pairwise", "none"] = "ips",
        clip: Annotated[float, Field(ge=1.0)] = 10.0,
        unexamined_negatives: bool = True,
    ) -> None:
        super().__init__(false_clicks, weighting, clip, unexamined_negatives)
        self.bucket = str(bucket)

    def examination(self, log: ClickLog, cells: Cells) -> tuple[NDArray[np.float64], str]:
        """Clicks by position in the batch.

        Raises:
            DataError: no training session is of that batch, or it has too few clicks.
        """
        batches: Sequence[str | None] = log.batch_ids or ()
        chosen = np.array([batch == self.bucket for batch in batches], dtype=np.bool_)
        if not chosen.any():
            known = ", ".join(sorted({str(batch) for batch in batches if batch is not None})[:10]) or "none"
            raise DataError(
                f"data.clicks.bucket={self.bucket}: no training session has this batch id. Found: {known}. Name the "
                "batch whose results were shown in random order."
            )
        bucket = log.select(chosen)
        classes = position_classes(bucket.positions)
        shown = np.bincount(classes, minlength=cells.num_contexts)
        clicks = np.bincount(classes[bucket.clicks], minlength=cells.num_contexts)
        if clicks.sum() < _FEWEST_CLICKS:
            raise DataError(
                f"data.clicks.bucket={self.bucket}: its {len(bucket):,} training sessions have {int(clicks.sum())} "
                f"clicks, too few to tell the propensities of {cells.num_contexts} positions (at least "
                f"{_FEWEST_CLICKS}). Show more in random order, or give propensities (data/clicks=given)."
            )
        rates = (clicks + 0.5) / (shown + 1.0)
        rates = np.where(shown > 0, rates, rates[np.flatnonzero(shown)[-1]])
        note = f"propensities: clicks by position in the {len(bucket):,} sessions of batch {self.bucket}"
        return rates / rates.max(), note


def capped_classes(log: ClickLog, num_classes: int) -> NDArray[np.int32]:
    """`int32[results]`: the class of each position, at most the last of the fit."""
    return np.minimum(position_classes(log.positions), np.int32(num_classes - 1))


def _shown(examination: NDArray[np.float64]) -> str:
    """The first positions' values as a line."""
    return "examination by position: " + " ".join(f"{value:.2f}" for value in examination[:10])
