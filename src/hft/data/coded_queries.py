"""The queries of sessions as numbers into their distinct texts: what depends on a text is worked out once a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hft.data.arrow import one_array
from hft.data.near_duplicates import query_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray


class QueryTexts:
    """Distinct texts of queries with their near-duplicate keys. Shared by all parts of the sessions.

    Args:
        column: string[texts], distinct.
    """

    def __init__(self, column: pa.Array) -> None:
        self.column = column
        self._keys: dict[tuple[str, ...], list[str]] = {}
        self._known: dict[tuple[str, ...], tuple[Callable[[], list[str]], NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        return len(self.column)

    @cached_property
    def texts(self) -> list[str]:
        """The texts."""
        return list(self.column.to_pylist())

    def keys(self, noise_words: Sequence[str] = ()) -> list[str]:
        """The near-duplicate key of each text, as hft.data.near_duplicates.query_key gives it."""
        noise = tuple(noise_words)
        if noise not in self._keys:
            self._keys[noise] = self._known[noise][0]() if noise in self._known else query_keys(self.texts, noise)
        return self._keys[noise]

    def key_numbers(self, noise_words: Sequence[str] = ()) -> NDArray[np.int64]:
        """`int64[texts]`: equal numbers for near-duplicates."""
        known = self._known.get(tuple(noise_words))
        return numbered(self.keys(noise_words)) if known is None else known[1]

    def know_keys(self, noise_words: Sequence[str], keys: Callable[[], list[str]], numbers: NDArray[np.int64]) -> None:
        """Take keys that were worked out before (once somebody asks for them) and their numbers."""
        self._known[tuple(noise_words)] = (keys, numbers)


class CodedQueries:
    """Queries, one a session.

    Args:
        codes: `int32[sessions]`, the number of each session's text.
        distinct: the texts; there may be some that no session has.
    """

    def __init__(self, codes: NDArray[np.int32], distinct: QueryTexts) -> None:
        self.codes = codes
        self.distinct = distinct

    @classmethod
    def of(cls, column: pa.Array | pa.ChunkedArray) -> CodedQueries:
        """From a column of strings without nulls."""
        coded = one_array(column).dictionary_encode()
        return cls(coded.indices.to_numpy().astype(np.int32, copy=False), QueryTexts(coded.dictionary))

    def take(self, rows: NDArray[np.integer]) -> CodedQueries:
        """The queries of some sessions, over the same texts."""
        return CodedQueries(self.codes[rows], self.distinct)

    @cached_property
    def used(self) -> NDArray[np.int64]:
        """`int64[distinct texts of these sessions]`: the numbers of the texts that some session has, sorted."""
        is_used = np.zeros(len(self.distinct), dtype=np.bool_)
        is_used[self.codes] = True
        return np.flatnonzero(is_used)

    def texts(self) -> list[str]:
        """The text of each session's query. Equal ones are one object."""
        texts = self.distinct.texts
        return [texts[code] for code in self.codes.tolist()]

    def keys(self, noise_words: Sequence[str] = ()) -> list[str]:
        """The near-duplicate key of each session's query. Equal texts have one object."""
        keys = self.distinct.keys(noise_words)
        return [keys[code] for code in self.codes.tolist()]

    def key_numbers(self, noise_words: Sequence[str] = ()) -> NDArray[np.int64]:
        """`int64[sessions]`: equal numbers for near-duplicates."""
        return self.distinct.key_numbers(noise_words)[self.codes]


def numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """`int64[names]`: equal numbers for equal names, counted from 0 in the order of the first of each."""
    if not names:
        return np.zeros(0, dtype=np.int64)
    coded = pc.dictionary_encode(pa.array(names, type=pa.large_string()))
    return np.asarray(coded.indices.to_numpy(), dtype=np.int64)
