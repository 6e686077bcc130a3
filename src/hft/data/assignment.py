"""The sessions that were taken, each in its split, with what the splitter asks for beside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hft.data.parts_of_train import LEFT_OUT
from hft.data.splitters import TEST, TRAIN
from hft.data.unseen_items import TOO_FEW_OF_ITS_ITEMS, cut_to_split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet
    from hft.data.source import Splitter

SEEN_QUERIES = (
    "train may have queries of validation and test (data.splitter.seen_queries=true); "
    "results are reported apart for these"
)


@dataclass(frozen=True)
class Assignment:
    """Sessions with their splits.

    Args:
        inputs: the sessions that some split takes.
        splits: `int8[sessions]`: 0 train, 1 validation, 2 test.
        seen_queries: whether train may have queries of a split that is held out.
        item_splits: `int8[items]`: the only split whose lists may show an item; None where items are in no split.
        whole_lists: with item_splits: lists of validation and test may show items of other splits.
        notes: lines for people.
    """

    inputs: FineTuningInputs
    splits: NDArray[np.int8]
    seen_queries: bool = False
    item_splits: NDArray[np.int8] | None = None
    whole_lists: bool = False
    notes: tuple[str, ...] = ()

    def allowed(self, items: NDArray[np.int32], split: int, *, folded: bool) -> NDArray[np.int32]:
        """Those of the items (rows) that lists made for a split may show.

        Args:
            items: `int32[items]`.
            split: number of the split.
            folded: validation is a fold of train, with train's items.
        """
        if self.item_splits is None or (self.whole_lists and split != TRAIN):
            return items
        own = TRAIN if folded and split != TEST else split
        return np.asarray(items[self.item_splits[items] == own], dtype=np.int32)


def assignment_of(
    inputs: FineTuningInputs, items: ItemsSet, splitter: Splitter, dropped: Counter[str], *, keep_seen: bool
) -> Assignment:
    """Ask the splitter, leave out what it cannot place, and cut lists where it holds out items.

    Args:
        inputs: the sessions taken.
        items: all items.
        splitter: what is held out; see hft.data.source.Splitter for what it may have.
        dropped: sessions left out, by reason; added to.
        keep_seen: keep sessions of train with queries of other splits whatever the splitter says.

    Raises:
        DataError: the sessions lack what the splitter goes by.
    """
    splits = splitter.assign(inputs, items)
    out = splits == LEFT_OUT
    if out.any():
        dropped[getattr(splitter, "left_out_reason", "sessions that the splitter puts in no split")] += int(out.sum())
        inputs, splits = inputs.select(~out), splits[~out]
    item_splits = splitter.item_splits(items) if hasattr(splitter, "item_splits") else None
    whole = False
    if item_splits is not None:
        cuts = splitter.cuts(splits) if hasattr(splitter, "cuts") else np.full(len(splits), True)
        whole = not cuts.all()
        inputs, short = cut_to_split(inputs, splits, item_splits, cuts)
        if short.any():
            dropped[TOO_FEW_OF_ITS_ITEMS] += int(short.sum())
            inputs, splits = inputs.select(~short), splits[~short]
    notes = tuple(splitter.notes(inputs, splits)) if hasattr(splitter, "notes") else ()
    allows = bool(getattr(splitter, "seen_queries", False))
    if allows:
        notes += (SEEN_QUERIES,)
    return Assignment(inputs, splits, keep_seen or allows, item_splits, whole, notes)
