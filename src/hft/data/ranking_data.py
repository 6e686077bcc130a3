"""The prepared data of a run: three splits, the items that they show, and what evaluation ranks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hft.data.arrow import update_hash
from hft.data.coded_queries import QueryTexts, numbered
from hft.data.inputs_schema import LATER_COLUMNS
from hft.data.items import ITEMS_SCHEMA, ItemsSet
from hft.data.text_clusters import near_duplicate_clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.augmentation import Augmentation
    from hft.data.inputs import FineTuningInputs
    from hft.data.parts import ItemSplitter
    from hft.data.report import PreparationReport

# Items among which near-duplicates are looked for; of more, only those of the same text count as one. 9,750 texts of
# 75 words take 0.7 s on a CPU core; 20,000 that all hold one same phrase, the worst case, 10 s.
NEAR_DUPLICATE_ITEMS = 20_000
# Share of shingles in common. High: texts of one template ("A tent for camping, to sleep outdoors") that differ in what
# they are about are the very negatives to learn from.
NEAR_DUPLICATE_OVERLAP = 0.8

Candidates = Literal["shown", "corpus"]


@dataclass(frozen=True)
class RankingData:
    """Train, validation and test inputs together with the items they show.

    Args:
        items: all items; sessions refer to them by row.
        train: sessions to learn from. Each that is not irrelevant has an event, unless those without were
            kept (`keep_without_event`).
        validation: sessions that every selection looks at (stopping, best weights, search).
        test: sessions that are read once, for the report.
        candidates: what evaluation ranks: `shown`, the session's own list, or `corpus`, a pool of items.
        pools: for `corpus`, the rows of the items ranked: `int32[items]` under "validation" and "test".
        report: what was read, left out and kept.
        noise_words: the splitter's: words that do not tell two queries apart.
        item_splitter: makes parts of the items' texts, once it is known what the model takes; None: they stay whole.
        augmentation: what becomes of texts in each epoch; None: they stay as they are.
        unclicked: sessions of `validation` and `test` without an event, where they were kept (`keep_without_event`):
            impressions for a click model's reading of the split's clicks. They are in no split, and nothing is measured
            on them.
    """

    items: ItemsSet
    train: FineTuningInputs
    validation: FineTuningInputs
    test: FineTuningInputs
    candidates: Candidates
    pools: dict[str, NDArray[np.int32]]
    report: PreparationReport
    noise_words: tuple[str, ...] = ()
    item_splitter: ItemSplitter | None = None
    augmentation: Augmentation | None = None
    unclicked: Mapping[str, FineTuningInputs] = field(default_factory=dict)

    @property
    def splits(self) -> dict[str, FineTuningInputs]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def with_report(self, report: PreparationReport) -> RankingData:
        """The same data with another report. What was worked out of it comes along."""
        return self._with(report=report)

    def with_texts(self, item_splitter: ItemSplitter | None, augmentation: Augmentation | None) -> RankingData:
        """The same data, of whose texts something becomes before a model sees them."""
        return self._with(item_splitter=item_splitter, augmentation=augmentation)

    def with_item_texts(self, texts: Sequence[str]) -> RankingData:
        """The same sessions over items of other texts (one an item), for a model that knows these."""
        names = self.items.table.column_names
        column = pa.chunked_array([pa.array(texts, type=pa.string())])
        table = self.items.table.set_column(names.index("text"), ITEMS_SCHEMA.field("text"), column)
        found = replace(self, items=ItemsSet(table))
        found.__dict__["query_texts"] = self.query_texts
        return found

    def _with(self, **changes: Any) -> RankingData:
        found = replace(self, **changes)
        found.__dict__.update({name: value for name, value in self.__dict__.items() if name not in found.__dict__})
        return found

    @cached_property
    def query_texts(self) -> QueryTexts:
        """The distinct queries of all splits, sorted by code point, with their near-duplicate keys."""
        coded = [inputs.coded_queries for inputs in self.splits.values()]
        used = [queries.distinct.column.take(pa.array(queries.used)) for queries in coded]
        column = pc.unique(pa.concat_arrays(used))
        found = QueryTexts(column.take(pc.sort_indices(column)))
        key_of: dict[str, str] = {}
        for distinct in {id(queries.distinct): queries.distinct for queries in coded}.values():
            key_of.update(zip(distinct.texts, distinct.keys(self.noise_words), strict=True))
        keys = [key_of[text] for text in found.column.to_pylist()]
        found.know_keys(self.noise_words, lambda: keys, numbered(keys))
        return found

    def query_rows(self, inputs: FineTuningInputs) -> NDArray[np.integer]:
        """Row of each session's query in `query_texts`: int32[sessions] or int64[sessions].

        Raises:
            KeyError: a query is in no split of this data.
        """
        queries = inputs.coded_queries
        if queries.distinct is self.query_texts:
            return queries.codes
        row_of = {text: row for row, text in enumerate(self.query_texts.texts)}
        texts, used = queries.distinct.texts, queries.used
        rows = np.full(len(texts), -1, dtype=np.int32)
        rows[used] = [row_of[texts[number]] for number in used.tolist()]
        return rows[queries.codes]

    @cached_property
    def item_key(self) -> NDArray[np.int64]:
        """int64[items], equal for items that no negative may tell apart: near-duplicates, or else the same text.

        Near-duplicates are looked for among the items that training or validation shows, where these are no more than
        NEAR_DUPLICATE_ITEMS: all pairs are compared, so the time grows with the square of their number.
        """
        used = np.unique(np.concatenate([self.train.flat_results, self.validation.flat_results]))
        if len(used) > NEAR_DUPLICATE_ITEMS:
            return numbered(self.items.texts)
        texts = list(self.items.texts)
        clusters = near_duplicate_clusters([texts[row] for row in used], threshold=NEAR_DUPLICATE_OVERLAP)
        # All of a cluster take the text of its first member.
        first = used[np.unique(clusters, return_index=True)[1]]
        for row, cluster in zip(used.tolist(), clusters.tolist(), strict=True):
            texts[row] = texts[first[cluster]]
        return numbered(texts)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the content of items, splits, candidates and pools: the run record's data
        hash."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self.candidates.encode())
        tables: dict[str, pa.Table] = {"items": self.items.table}
        tables.update({name: inputs.table for name, inputs in self.splits.items()})
        tables.update({f"{name}.unclicked": self.unclicked[name].table for name in sorted(self.unclicked)})
        for name, table in tables.items():
            _update_by_table(digest, name, table)
        if any(hash is not None for hash in self.items.image_hashes):  # what they show, not where they lie
            digest.update("\n".join(hash or "" for hash in self.items.image_hashes).encode())
        for name in sorted(self.pools):
            digest.update(f"pool.{name}:{len(self.pools[name])};".encode())
            digest.update(self.pools[name].astype("<i4").tobytes())
        return digest.hexdigest()

    def split_hash(self, split: str) -> str:
        """SHA-256 (hex) over the sessions of a split: what is asked, shown and known of it.

        Args:
            split: its name.
        """
        digest = hashlib.sha256(f"{self.candidates}.{split}".encode())
        _update_by_table(digest, split, self.splits[split].table)
        return digest.hexdigest()


def _update_by_table(digest: Any, name: str, table: pa.Table) -> None:
    """Adds the columns of a table to a hash, without images, and without later columns that nothing fills."""
    for column in table.column_names:
        is_absent = name != "items" and column in LATER_COLUMNS and table.column(column).null_count == len(table)
        if is_absent or column == "image":
            continue
        digest.update(f"{name}.{column}:".encode())
        update_hash(digest, table.column(column))
