"""Holds out by query with the same share of every kind of session."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from hft.data.near_duplicates import stable_fraction
from hft.data.splitters import TEST, TRAIN, VALIDATION, ShareSplitter, by_hash, query_names
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet


class StratifiedSplitter(ShareSplitter):
    """Near-duplicates of a query stay together, and each stratum (a country, a category, a shop) gives its share.

    A query that occurs in several strata belongs to the one where it occurs most. Sessions without the field are a
    stratum of their own.

    Args:
        field: the field of sessions that tells the strata.
        validation: share of each stratum's distinct queries for validation.
        test: share of each stratum's distinct queries for test.
        exact: each stratum gives its share to within one query; which queries, moves as the log grows. False: each
            query is drawn for itself, so that shares hold in the mean, and what is held out stays held out whatever
            comes. null: exact where sessions carry no batch id.
        noise_words: words that do not tell two queries apart, for everything that asks whether two queries are near-
            duplicates: splits, leaks, masks of negatives, slices. None: only stop words are such.
        salt: another text holds out others; to measure on several splits. A project keeps to one.
    """

    def __init__(
        self,
        field: Literal["group", "sort_by", "user_id", "batch_id", "split"] = "group",
        validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1,
        test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2,
        exact: bool | None = None,
        noise_words: list[str] | None = None,
        salt: str = "",
    ) -> None:
        super().__init__(validation, test, noise_words, salt)
        self.field = field
        self.exact = exact

    def keys(self, inputs: FineTuningInputs) -> list[str]:
        """What each session is held out by: the near-duplicate key of its query."""
        return query_names(f"{self.salt}query:", inputs, self.noise_words)

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test.

        Raises:
            DataError: no session has the field.
        """
        if inputs.table.column(self.field).null_count == len(inputs):
            raise DataError(
                f"data.splitter: StratifiedSplitter needs the field {self.field!r} (data.splitter.field), but none of "
                f"{len(inputs)} sessions has it. Name the field that holds it (for session files: "
                f"data.source.fields.{self.field}), or choose data/splitter=by_query."
            )
        keys = self.keys(inputs)
        if not self._is_exact(inputs):
            return by_hash(keys, self.validation, self.test)
        split_of = self._quotas(_strata(keys, inputs.table.column(self.field).to_pylist()))
        return np.array([split_of[key] for key in keys], dtype=np.int8)

    def notes(self, inputs: FineTuningInputs, assigned: NDArray[np.int8]) -> tuple[str, ...]:
        """How exact the strata are, and what that means for later iterations."""
        if not self._is_exact(inputs):
            return (f"stratified by {self.field}: shares hold in the mean (data.splitter.exact=false)",)
        return (
            f"stratified by {self.field}: exact shares; which queries are held out moves when the log grows, unless "
            f"data.splitter.exact=false",
        )

    def _is_exact(self, inputs: FineTuningInputs) -> bool:
        has_batches = inputs.table.column("batch_id").null_count < len(inputs)
        return not has_batches if self.exact is None else self.exact

    def _quotas(self, strata: dict[str, list[str]]) -> dict[str, int]:
        """The split of each key: in each stratum the lowest hashes are test, the next validation."""
        split_of: dict[str, int] = {}
        given = {TEST: 0, VALIDATION: 0}
        total = 0
        for _, keys in sorted(strata.items()):
            ordered = sorted(keys, key=stable_fraction)
            total += len(ordered)
            taken = 0
            for split, share in ((TEST, self.test), (VALIDATION, self.validation)):
                # What rounding kept from the strata before, this one gives; so many small strata give their share too.
                count = min(max(round(share * total) - given[split], 0), len(ordered) - taken)
                split_of.update(dict.fromkeys(ordered[taken : taken + count], split))
                given[split] += count
                taken += count
            split_of.update(dict.fromkeys(ordered[taken:], TRAIN))
        return split_of


def _strata(keys: list[str], values: list[str | None]) -> dict[str, list[str]]:
    """The keys of each stratum."""
    counts = Counter(zip(keys, ("" if value is None else f"={value}" for value in values), strict=True))
    best: dict[str, tuple[int, str]] = {}
    for (key, stratum), count in counts.items():
        found = best.get(key)
        if found is None or (-count, stratum) < (-found[0], found[1]):
            best[key] = (count, stratum)
    strata: dict[str, list[str]] = {}
    for key, (_, stratum) in best.items():
        strata.setdefault(stratum, []).append(key)
    return strata
