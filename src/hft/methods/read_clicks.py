"""A split's clicks as a click model reads them: without what its source flagged, with what has no click."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hft.data import ClickLog, Evidence, FineTuningInputs, RankingData

Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True)
class ReadableClicks:
    """The log that a model reads for a split, and which of the split's results it speaks of.

    Sessions that the source flagged as irrelevant are no impressions: nothing is read of them. Sessions without a click
    are, also those of validation and test, which are in no split (`RankingData.unclicked`); without them a result
    would seem to be clicked each time that it is shown.

    Args:
        log: the split's sessions that are not flagged, and after them those without an event.
        read: `bool[results of the split]`: those of the sessions that are not flagged.
    """

    log: ClickLog
    read: NDArray[np.bool_]

    @classmethod
    def of(cls, data: RankingData, inputs: FineTuningInputs, query_keys: NDArray[np.integer]) -> ReadableClicks:
        """The clicks of a split.

        Args:
            data: whose split it is.
            inputs: the split.
            query_keys: `int[queries]` by row of `data.query_texts`, equal for queries that count as one.
        """
        flagged = inputs.is_flagged
        part = inputs if not flagged.any() else inputs.select(~flagged)
        log = ClickLog.of(part, query_keys.astype(np.int32)[data.query_rows(part)])
        beside = next((data.unclicked.get(name) for name, split in data.splits.items() if split is inputs), None)
        if beside is not None:
            log = log.followed_by(_of_known_queries(data, beside, query_keys))
        return cls(log, np.repeat(~flagged, np.diff(inputs.offsets)))

    def on_results(self, values: NDArray[Value], otherwise: Any) -> NDArray[Value]:
        """A value for each result of the split, from one for each of the log.

        Args:
            values: `[results of the log]`.
            otherwise: of results that were not read.
        """
        if self.read.all():
            return values[: len(self.read)]
        found = np.full(len(self.read), otherwise, dtype=values.dtype)
        found[self.read] = values[: int(self.read.sum())]
        return found

    def evidence_on_results(self, evidence: Evidence) -> Evidence:
        """The evidence of the log, result by result of the split: one that was not read is no positive, may be a
        negative, and has a confidence of 1."""
        return replace(
            evidence,
            confidences=self.on_results(evidence.confidences, 1.0),
            weights=self.on_results(evidence.weights, 0.0),
            believed=self.on_results(evidence.believed, False),
            may_be_negative=self.on_results(evidence.may_be_negative, True),
        )


def _of_known_queries(data: RankingData, inputs: FineTuningInputs, query_keys: NDArray[np.integer]) -> ClickLog:
    """Those of the sessions whose query, or a near-duplicate of it, is asked in the data: the others say nothing of
    its results."""
    keys = data.query_texts.keys(data.noise_words)
    number_of = dict(zip(keys, query_keys.tolist(), strict=True))
    coded = inputs.coded_queries
    distinct = coded.distinct.keys(data.noise_words)
    numbers = np.full(len(distinct), -1, dtype=np.int32)
    for row in coded.used.tolist():
        numbers[row] = number_of.get(distinct[row], -1)
    of_sessions = numbers[coded.codes]
    known = of_sessions >= 0
    part = inputs if known.all() else inputs.select(known)
    return ClickLog.of(part, of_sessions[known])
