"""What a source of sessions gives, and what it has to offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet
    from hft.data.quarantine import Quarantine

LOGGED_EVENTS = "logged events"
LABELS = "labels, by their grades"
SIMULATED_CLICKS = "simulated clicks, though labels are known"
JUDGED_AS_PICKED = "judgements, read as what was shown and picked"


class Impressions(Protocol):
    """Shows lists to queries whose source kept none, and lets somebody click on them.

    Called after the split, once a split, so that a list holds only items which that split may see.
    """

    def __call__(
        self, inputs: FineTuningInputs, allowed: NDArray[np.int32], sessions_per_query: int | None = None
    ) -> FineTuningInputs:
        """The inputs with results and events filled in.

        Args:
            inputs: queries with known relevance.
            allowed: `int32[items]` rows that may be shown.
            sessions_per_query: sessions made of each input; None: as many as the simulator was told.
        """
        ...


@dataclass(frozen=True)
class SourceData:
    """What was read from a source.

    Args:
        items: all items.
        inputs: all sessions.
        impressions: where the source keeps no shown lists, what makes them after the split; else None.
        dropped: how many sessions or items were left out and why.
        notes: lines for people (which ranker and click model, how many duplicates).
        learns_from: what says which items are relevant to a query in training, in words for people and records.
        item_fields: the fields that made the items' texts, by name of the source (`` of a single one); empty where they
            are not made of records.
        warnings: of what a model cannot see in these texts.
    """

    items: ItemsSet
    inputs: FineTuningInputs
    impressions: Impressions | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    learns_from: str = LOGGED_EVENTS
    item_fields: Mapping[str, list[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class SessionSource(Protocol):
    """Reads sessions and the items that they show."""

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read everything; malformed lines go to the quarantine.

        Raises:
            DataError: nothing usable is there.
        """
        ...


class Splitter(Protocol):
    """Says which split each session belongs to.

    A splitter that has an attribute `noise_words` (a sequence of words that do not tell two queries apart) decides
    on them for all that asks whether two queries are near-duplicates; without it there are none. One that has a method
    `keys(inputs) -> list[str]` says which sessions must stay together where the training part is cut further (folds,
    `train_share`); without it those with near-duplicate queries do. Further attributes that one may have:

    - `seen_queries`: true where sessions of train may have queries of test;
    - `left_out_reason`: why `assign` gives -1 to a session, which is in no split then;
    - `notes(inputs, assigned) -> tuple[str, ...]`: lines for people;
    - `item_splits(items) -> int8[items]` with `cuts(assigned) -> bool[sessions]`: items are in one split each, and the
      lists of these sessions are cut to the items of their split.
    """

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test."""
        ...
