"""Holds out by item: the model is judged on items that it has never been shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hft.data.arrow import list_column
from hft.data.splitters import TRAIN, ShareSplitter, by_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet

TOO_FEW_OF_ITS_ITEMS = "sessions with fewer than two results among the items of their split"


class UnseenItemsSplitter(ShareSplitter):
    """Items are in one split each, by a stable hash of their id: the same in every batch and iteration.

    A session goes where the strictest of its relevant items is (test before validation before train), and its list is
    cut to the items of its split: no item of test or validation is in a training list. Near-duplicates of an item
    under another id may be; the leakage report counts equal texts. The same query may be asked of items of several
    splits: results are reported apart for queries seen in training.

    Args:
        validation: share of the items for validation.
        test: share of the items for test.
        lists: `own` cuts the lists of validation and test to their items too, so that nothing known stands beside what
            is new; `whole` leaves them whole: more to rank, known items among them. Training lists are always cut.
        seen_queries: sessions of train may have queries of test. False leaves these sessions out.
        noise_words: words that do not tell two queries apart, where a query of one split is looked for in another.
            None: only stop words are such.
        salt: another text holds out others; to measure on several splits. A project keeps to one.
    """

    def __init__(
        self,
        validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1,
        test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2,
        lists: Literal["own", "whole"] = "own",
        seen_queries: bool = True,
        noise_words: list[str] | None = None,
        salt: str = "",
    ) -> None:
        super().__init__(validation, test, noise_words, salt)
        self.lists = lists
        self.seen_queries = seen_queries

    def item_splits(self, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[items]`: 0 train, 1 validation, 2 test."""
        return by_hash([f"{self.salt}item:{item_id}" for item_id in items.ids], self.validation, self.test)

    def cuts(self, assigned: NDArray[np.int8]) -> NDArray[np.bool_]:
        """`bool[sessions]`: whose lists are cut to the items of their split."""
        return np.full(len(assigned), True) if self.lists == "own" else assigned == TRAIN

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test. A session without a relevant item is of train."""
        labels = inputs.labels()
        relevant = labels.grades > 0
        owners = np.repeat(np.arange(len(inputs)), np.diff(labels.offsets))[relevant]
        assigned = np.full(len(inputs), TRAIN, dtype=np.int8)
        np.maximum.at(assigned, owners, self.item_splits(items)[labels.rows[relevant]])
        return assigned


def cut_to_split(
    inputs: FineTuningInputs, assigned: NDArray[np.int8], item_splits: NDArray[np.int8], cuts: NDArray[np.bool_]
) -> tuple[FineTuningInputs, NDArray[np.bool_]]:
    """Lists and judgements without the items of other splits.

    Args:
        inputs: all sessions.
        assigned: `int8[sessions]` their splits.
        item_splits: `int8[items]`.
        cuts: `bool[sessions]`: whose lists are cut.

    Returns:
        (the sessions, which say where their results stood if a list was cut; `bool[sessions]` those whose list is too
        short now: it had results, and has fewer than two).
    """

    def own(offsets: NDArray[np.int64], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        lengths = np.diff(offsets)
        kept = item_splits[rows] == np.repeat(assigned, lengths)
        return np.asarray(kept | ~np.repeat(cuts, lengths), dtype=np.bool_)

    shown, judged = own(inputs.offsets, inputs.flat_results), own(inputs.judgement_offsets, inputs.flat_judged)
    columns: dict[str, pa.Array] = {}
    if not shown.all():  # click models ask where results stood before
        inputs = inputs.replace(positions=list_column(inputs.offsets, inputs.flat_positions, pa.int32()))
    for names, kept in ((("results", "events", "ranks", "dwell", "positions"), shown), (("judged", "grades"), judged)):
        if not kept.all():
            columns |= {name: _part(inputs, name, kept) for name in names if _has_values(inputs, name)}
    found = inputs.replace(**columns) if columns else inputs
    before, after = np.diff(inputs.offsets), np.diff(found.offsets)
    return found, np.asarray((before > 0) & (after < 2), dtype=np.bool_)


def _has_values(inputs: FineTuningInputs, name: str) -> bool:
    return bool(inputs.table.column(name).null_count < len(inputs))


def _part(inputs: FineTuningInputs, name: str, kept: NDArray[np.bool_]) -> pa.Array:
    """A list column without the entries that are not kept (bool over the entries of sessions that have a list)."""
    column = inputs.table.column(name).combine_chunks()
    missing = ~np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=np.bool_)
    of_results = name not in ("judged", "grades")
    offsets = inputs.offsets if of_results else inputs.judgement_offsets
    # Entries of sessions whose list is null in this column stand in `kept`, but not among the column's values.
    has_value = ~np.repeat(missing, np.diff(offsets))
    values = column.flatten().filter(pa.array(kept[has_value]))
    owners = np.repeat(np.arange(len(inputs)), np.diff(offsets))[kept & has_value]
    ends = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(inputs)))]).astype(np.int64)
    return list_column(ends, values, column.type.value_type, missing if missing.any() else None)
