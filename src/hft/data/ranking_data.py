"""The prepared data of a run: three splits, the items that they show, and what evaluation ranks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hft.data.arrow import update_hash

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet
    from hft.data.report import PreparationReport

Candidates = Literal["shown", "corpus"]


@dataclass(frozen=True)
class RankingData:
    """Train, validation and test inputs together with the items they show.

    Args:
        items: all items; sessions refer to them by row.
        train: sessions to learn from. Each that is not irrelevant has an event.
        validation: sessions that every selection looks at (stopping, best weights, search).
        test: sessions that are read once, for the report.
        candidates: what evaluation ranks: `shown`, the session's own list, or `corpus`, a pool of items.
        pools: for `corpus`, the rows of the items ranked: `int32[items]` under "validation" and "test".
        report: what was read, left out and kept.
        noise_words: the splitter's: words that do not tell two queries apart.
    """

    items: ItemsSet
    train: FineTuningInputs
    validation: FineTuningInputs
    test: FineTuningInputs
    candidates: Candidates
    pools: dict[str, NDArray[np.int32]]
    report: PreparationReport
    noise_words: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, FineTuningInputs]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the content of items, splits, candidates and pools: the run record's data
        hash."""
        digest = hashlib.sha256(self.candidates.encode())
        tables: dict[str, pa.Table] = {"items": self.items.table}
        tables.update({name: inputs.table for name, inputs in self.splits.items()})
        for name, table in tables.items():
            for column in table.column_names:
                digest.update(f"{name}.{column}:".encode())
                update_hash(digest, table.column(column))
        for name in sorted(self.pools):
            digest.update(f"pool.{name}:{len(self.pools[name])};".encode())
            digest.update(self.pools[name].astype("<i4").tobytes())
        return digest.hexdigest()
