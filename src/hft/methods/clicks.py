"""What the clicks of the test split say of the two models, where a click model gives propensities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hft.data import ClickModel
from hft.errors import DataError
from hft.methods.tokenized import TokenizedData
from hft.metrics import ClickEstimate, WeightedClicks, click_estimates
from hft.settings import FineTuningSettings

# Positions that count where the main metric has no cutoff.
_DEPTH = 10
# Of the table where results were left out of lists: the shown order is compared on what the models rank.
_CUT = (
    "lists of test were cut after they were shown: propensities are of the positions at which results were shown, "
    "places in the three orders are counted among the results that are left"
)


def estimates_from_clicks(
    data: TokenizedData,
    settings: FineTuningSettings,
    sessions: npt.NDArray[np.int64],
    start_ranks: npt.NDArray[np.float32],
    tuned_ranks: npt.NDArray[np.float32] | None,
    *,
    depth: int | None,
    seed: int,
) -> tuple[dict[str, ClickEstimate], tuple[str, ...]]:
    """(SNIPS estimates by metric, lines on the click model); both empty where clicks are read by a rule.

    Args:
        data: the tokenised data; the model is fitted on its training sessions.
        settings: how clicks are read.
        sessions: int64[test sessions], the distinct query of each.
        start_ranks, tuned_ranks: float32[results], of all shown results of the test split.
        depth: positions that count; None: 10.
        seed: of the draw that breaks ties.
    """
    clicks, inputs = settings.confidence_calculator, data.data.test
    if not isinstance(clicks, ClickModel):
        return {}, ()
    try:
        fitted = data.fitted(clicks)
    except DataError as error:  # training says so itself; an evaluation on other data goes on without
        return {}, (f"no estimate from clicks. {error}",)
    read = data.clicks_of(inputs)
    weights = read.on_results(fitted.inverse_propensities(read.log).astype(np.float64), 0.0)
    results = np.flatnonzero(weights > 0)
    weighted = WeightedClicks(
        results,
        weights[results],
        np.repeat(sessions, np.diff(inputs.offsets))[results],
        fitted.examination(int(np.diff(inputs.offsets).max(initial=1))),
    )
    found = click_estimates(
        weighted,
        inputs.offsets,
        start_ranks,
        tuned_ranks,
        k=depth or _DEPTH,
        higher_is_better=settings.rank_sign > 0,
        seed=seed,
    )
    return found, (*fitted.notes, *((_CUT,) if inputs.is_cut else ()))
