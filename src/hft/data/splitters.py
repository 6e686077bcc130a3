"""Who is held out: train, validation and test by stable hashes, so that held-out stays held-out.

A split depends on the query (or the group) alone: not on the seed, the order or the other sessions. The
same query is in the same split in every batch of clicks and in every iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from hft.data.near_duplicates import stable_fraction
from hft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)

_SPLIT_NAMES = {
    "train": TRAIN, "training": TRAIN, "validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION,
    "dev": VALIDATION, "test": TEST,
}  # fmt: skip


class ShareSplitter:
    """What splitters by shares keep.

    Args:
        validation, test: shares, of what a splitter draws.
        noise_words: words that do not tell two queries apart; None: only stop words are such.
        salt: another text holds out others.

    Raises:
        ConfigError: the shares leave nothing for train.
    """

    def __init__(self, validation: float, test: float, noise_words: list[str] | None, salt: str) -> None:
        check_shares(validation, test)
        self.salt = salt
        self.validation = validation
        self.test = test
        self.noise_words = () if noise_words is None else tuple(noise_words)


class QuerySplitter(ShareSplitter):
    """Holds out by query: all near-duplicates of a query are in one split.

    Args:
        validation: share of the distinct queries for validation.
        test: share of the distinct queries for test.
        noise_words: words that do not tell two queries apart, for everything that asks whether two queries are near-
            duplicates: splits, leaks, masks of negatives, slices. None: only stop words are such.
        salt: another text holds out others; to measure on several splits. A project keeps to one.
    """

    def __init__(
        self,
        validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1,
        test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2,
        noise_words: list[str] | None = None,
        salt: str = "",
    ) -> None:
        super().__init__(validation, test, noise_words, salt)

    def keys(self, inputs: FineTuningInputs) -> list[str]:
        """What each session is held out by: the near-duplicate key of its query."""
        return query_names(f"{self.salt}query:", inputs, self.noise_words)

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test."""
        return by_hash(self.keys(inputs), self.validation, self.test)


class GroupSplitter(ShareSplitter):
    """Holds out by the source's group (for python_docs the module): a group is in one split as a whole.

    Args:
        validation: share of the groups for validation.
        test: share of the groups for test.
        noise_words: words that do not tell two queries apart, where a query of one split is looked for in another.
            None: only stop words are such.
        salt: another text holds out others; to measure on several splits. A project keeps to one.
    """

    def __init__(
        self,
        validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1,
        test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3,
        noise_words: list[str] | None = None,
        salt: str = "",
    ) -> None:
        super().__init__(validation, test, noise_words, salt)

    def keys(self, inputs: FineTuningInputs) -> list[str]:
        """What each session is held out by: its group.

        Raises:
            DataError: a session has no group.
        """
        groups: list[str | None] = inputs.table.column("group").to_pylist()
        if any(group is None for group in groups):
            raise DataError(
                f"data.splitter: GroupSplitter needs a group for every session, but "
                f"{sum(group is None for group in groups)} of {len(groups)} have none. "
                f"Choose data/splitter=by_query."
            )
        return [f"{self.salt}group:{group}" for group in groups]

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test.

        Raises:
            DataError: a session has no group.
        """
        return by_hash(self.keys(inputs), self.validation, self.test)


class GivenSplitter:
    """Takes the splits that the source gives; where it gives no validation, that is carved from train by
    query.

    Args:
        validation: share of the distinct training queries for validation, where the source gives none.
        noise_words: words that do not tell two queries apart, for everything that asks whether two queries are near-
            duplicates: splits, leaks, masks of negatives, slices. None: only stop words are such.
    """

    def __init__(
        self, validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1, noise_words: list[str] | None = None
    ) -> None:
        self.validation = validation
        self.noise_words = () if noise_words is None else tuple(noise_words)

    def keys(self, inputs: FineTuningInputs) -> list[str]:
        """What tells sessions apart that must not be parted: the near-duplicate key of the query."""
        return query_names("query:", inputs, self.noise_words)

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test.

        Raises:
            DataError: a session has no split, or one of another name.
        """
        names: list[str | None] = inputs.table.column("split").to_pylist()
        unknown = sorted({str(name) for name in names if str(name).casefold() not in _SPLIT_NAMES})
        if unknown:
            found = "none" if unknown == ["None"] else ", ".join(unknown[:5])
            raise DataError(
                f"data.splitter: GivenSplitter takes the splits that the source gives (train, validation, "
                f"test), but found {found}. Choose data/splitter=by_query, or give each session a split."
            )
        given = np.array([_SPLIT_NAMES[str(name).casefold()] for name in names], dtype=np.int8)
        if not (given == VALIDATION).any():
            carved = by_hash(self.keys(inputs), self.validation, 0.0) == VALIDATION
            given[(given == TRAIN) & carved] = VALIDATION
        return given


def query_names(prefix: str, inputs: FineTuningInputs, noise_words: Sequence[str]) -> list[str]:
    """The prefix and the near-duplicate key of each session's query; equal texts have one object."""
    queries = inputs.coded_queries
    names = [prefix + key for key in queries.distinct.keys(noise_words)]
    return [names[code] for code in queries.codes.tolist()]


def by_hash(keys: Sequence[str], validation: float, test: float) -> NDArray[np.int8]:
    """The lowest fractions are test, the next validation: a larger share only adds to a split."""
    fractions = {key: stable_fraction(key) for key in set(keys)}
    drawn = np.array([fractions[key] for key in keys], dtype=np.float64)
    split = np.full(len(keys), TRAIN, dtype=np.int8)
    split[drawn < test + validation] = VALIDATION
    split[drawn < test] = TEST
    return split


def check_shares(validation: float, test: float) -> None:
    """Refuse shares that leave nothing for train.

    Raises:
        ConfigError: they do.
    """
    if validation + test >= 1.0:
        raise ConfigError(
            f"data.splitter: validation ({validation}) and test ({test}) leave nothing for train. "
            f"Their sum must be below 1."
        )
