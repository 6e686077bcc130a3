"""Holds out by time: the model is judged on what came later than all that it learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from hft.data.parts_of_train import LEFT_OUT
from hft.data.splitters import TEST, TRAIN, VALIDATION, check_shares
from hft.errors import ConfigError, DataError
from hft.moments import moment_text, seconds_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet


class TimeSplitter:
    """Train, then validation, then test in the order of time; sessions of one moment are in one split.

    People ask again what was asked before, so queries of test may be in train: results are reported apart for those.

    Args:
        validation: share of all sessions that is validation, the last before test, where no date is given.
        test: the last share of all sessions, where no date is given.
        validation_from: ISO 8601 date or time, or seconds since 1970: where validation begins. Both dates or none.
        test_from: where test begins.
        each_batch: shares are of each batch for itself, so that what a batch held out stays held out in every
            iteration, also where all batches are read together. False: of all that is read; the dates then move as
            sessions come. Dates never move.
        seen_queries: sessions of train may have queries of test. False leaves these sessions out.
        noise_words: words that do not tell two queries apart, where a query of one split is looked for in another.
            None: only stop words are such.

    Raises:
        ConfigError: shares that leave nothing, one date without the other, or dates in the wrong order.
    """

    left_out_reason: ClassVar[str] = "sessions without a timestamp, of which a splitter by time cannot tell"

    def __init__(
        self,
        validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1,
        test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2,
        validation_from: str | float | None = None,
        test_from: str | float | None = None,
        each_batch: bool = True,
        seen_queries: bool = True,
        noise_words: list[str] | None = None,
    ) -> None:
        check_shares(validation, test)
        self.validation = validation
        self.test = test
        self.validation_from = _moment("validation_from", validation_from)
        self.test_from = _moment("test_from", test_from)
        self.each_batch = each_batch
        self.seen_queries = seen_queries
        self.noise_words = () if noise_words is None else tuple(noise_words)
        if (self.validation_from is None) != (self.test_from is None):
            lacking = "validation_from" if self.validation_from is None else "test_from"
            raise ConfigError(f"data.splitter.{lacking}: the other date is given, this one is not. Give both, or none.")
        if self.test_from is not None and self.validation_from is not None and self.test_from <= self.validation_from:
            raise ConfigError(
                f"data.splitter.test_from: {moment_text(self.test_from)} is not after validation_from, "
                f"{moment_text(self.validation_from)}. Validation comes before test."
            )

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test; -1 for a session without a timestamp.

        Raises:
            DataError: no session has a timestamp.
        """
        seconds = inputs.timestamps
        known = ~np.isnan(seconds)
        if not known.any():
            raise DataError(
                f"data.splitter: TimeSplitter needs the time of sessions, but none of {len(inputs)} has a timestamp. "
                f"Name the field that holds it (for session files: data.source.fields.timestamp), or choose "
                f"data/splitter=by_query."
            )
        assigned = np.full(len(inputs), LEFT_OUT, dtype=np.int8)
        if self.validation_from is not None and self.test_from is not None:
            assigned[known] = _by_dates(seconds[known], self.validation_from, self.test_from)
            return assigned
        for rows in self._batches(inputs, known):
            assigned[rows] = _by_dates(seconds[rows], *self._dates(seconds[rows]))
        return assigned

    def notes(self, inputs: FineTuningInputs, assigned: NDArray[np.int8]) -> tuple[str, ...]:
        """Where the splits begin, and what that means for later iterations."""
        seconds = inputs.timestamps
        firsts = [seconds[assigned == split] for split in (VALIDATION, TEST)]
        if not all(len(part) for part in firsts):
            return ()
        batches = len(self._batches(inputs, assigned != LEFT_OUT)) if self.validation_from is None else 1
        if batches > 1:
            return (f"split by time: the last share of each of {batches} batches is held out",)
        dates = [moment_text(part.min()) for part in firsts]
        told = f"split by time: validation from {dates[0]}, test from {dates[1]} (UTC)"
        if self.validation_from is None:
            keys = ", ".join(f"data.splitter.{name}_from" for name in ("validation", "test"))
            told += f"; the dates move when the log grows, unless you give them ({keys})"
        return (told,)

    def _batches(self, inputs: FineTuningInputs, known: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """Rows of the sessions of each batch; those without a batch id are one."""
        rows = np.flatnonzero(known)
        column = inputs.table.column("batch_id")
        if not self.each_batch or column.null_count == len(inputs):
            return [rows]
        coded = column.combine_chunks().dictionary_encode().indices.fill_null(-1)
        numbers = np.asarray(coded.to_numpy(zero_copy_only=False), dtype=np.int64)[rows]
        order = np.argsort(numbers, kind="stable")
        return np.split(rows[order], np.flatnonzero(np.diff(numbers[order])) + 1)

    def _dates(self, seconds: NDArray[np.float64]) -> tuple[float, float]:
        """Where validation and test begin, for shares of the sessions."""
        ordered = np.sort(seconds)
        places = [round(share * len(ordered)) for share in (1.0 - self.test - self.validation, 1.0 - self.test)]
        first, second = (float(ordered[min(place, len(ordered) - 1)]) for place in places)
        return first, second


def _by_dates(seconds: NDArray[np.float64], validation_from: float, test_from: float) -> NDArray[np.int8]:
    assigned = np.full(len(seconds), TRAIN, dtype=np.int8)
    assigned[seconds >= validation_from] = VALIDATION
    assigned[seconds >= test_from] = TEST
    return assigned


def _moment(name: str, given: str | float | None) -> float | None:
    try:
        return None if given is None else seconds_of(given)
    except ValueError as error:
        raise ConfigError(f"data.splitter.{name}: {error}.") from error
