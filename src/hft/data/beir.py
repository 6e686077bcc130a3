"""Labelled collections in the BEIR layout: a corpus, queries, and relevance judgements by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import DirectoryPath, Field

from hft.data.beir_files import (
    corpus_records,
    find_file,
    judgement_files,
    read_corpus,
    read_judgements,
    read_queries,
)
from hft.data.clicks.simulated import PositionBasedClicks, SimulatedClicks
from hft.data.identity import SourceIdentity, told
from hft.data.inputs import FineTuningInputs, Labels
from hft.data.item_text import ItemText
from hft.data.query_retriever import QueryRetriever
from hft.data.ragged import RaggedPairs
from hft.data.simulator import ClickSimulator, JudgedListSimulator
from hft.data.source import JUDGED_AS_PICKED, LABELS, SIMULATED_CLICKS, SourceData
from hft.data.sources.record_files import RecordFile
from hft.data.sources.stores import RemoteFolder, below, is_remote
from hft.data.text_normalizer import FieldsNormalizer
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.item_lines import ItemRecord
    from hft.data.items import ItemsSet
    from hft.data.quarantine import Quarantine


class BeirFolder:
    """A folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, each plain or with .gz.

    A session is a query of a split; its split is the name of the qrels file (for data/splitter=given).

    Args:
        folder: the folder, or its address in a store (`s3://bucket/key`).
        reading: what the judgements are. `labels`: known relevance, which is learned from as it is: a query's
            positives are its relevant items, each of the weight of its grade. `simulated`: known relevance; shown lists
            and the clicks that are learned from are simulated after the split (hft.data.simulator). `shown`: every
            judged item was shown to the query and those with a score above 0 were picked; the order, which the files
            do not keep, is a seeded shuffle. `judged`: known relevance; each query is shown its judged items, and
            clicks on them are simulated after the split.
        item_fields: fields of a corpus line that make the item's text, in this order; a dot leads into nested
            objects (`metadata.genres`). The line's `title` stays the item's title in any case. None: `title` and
            `text`, where both are there (or what the model that a run starts from was trained on).
        seed: of the shuffle and the simulator.
        drop_all_picked: `shown` only: leave out sessions in which every result was picked (nothing to rank).
        results_per_session: `simulated` only: results shown in a session.
        sessions_per_query: `simulated` and `judged`: sessions simulated for a training query; held-out ones have one
            each.
        ranker_noise: `simulated` only: standard deviation of the noise on the ranker's (BM25's) scores,
            relative to a query's best.
        query_retriever: takes the query out of a line of queries; None: it is the field `text`.
        normalizer: what each item's record goes through first; None: it stays as it is.
        item_text: makes the text of an item's record, instead of `item_fields`.
        eta: `simulated` and `judged`: examination of position p is 1/p^eta; 0 examines everything.
        click_probability: `simulated` and `judged`: of an examined result of the highest grade.
        false_click_probability: `simulated` and `judged`: of an examined irrelevant result.
        clicks: another model of those who click, in place of the position-based one that eta and the two probabilities
            describe.
        order: `judged` only: of the shown items, `popularity` (among the split's own queries) or `shuffled`.
        shuffled_share: `judged` only: share of the sessions that are shuffled whatever the order, as batch "shuffled".
    """

    def __init__(
        self,
        folder: DirectoryPath | RemoteFolder,
        reading: Literal["labels", "simulated", "shown", "judged"] = "labels",
        item_fields: Annotated[list[str], Field(min_length=1)] | None = None,
        seed: Annotated[int, Field(ge=0)] = 0,
        drop_all_picked: bool = True,
        results_per_session: Annotated[int, Field(ge=2, le=1000)] = 10,
        sessions_per_query: Annotated[int, Field(ge=1, le=1000)] = 2,
        ranker_noise: Annotated[float, Field(ge=0.0, le=100.0)] = 0.1,
        eta: Annotated[float, Field(ge=0.0, le=5.0)] = 0.5,
        click_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9,
        false_click_probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.02,
        query_retriever: QueryRetriever | None = None,
        normalizer: FieldsNormalizer | None = None,
        item_text: ItemText | None = None,
        clicks: SimulatedClicks | None = None,
        order: Literal["popularity", "shuffled"] = "popularity",
        shuffled_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0,
    ) -> None:
        self.folder = str(folder)
        self.reading = reading
        self.item_fields = None if item_fields is None else list(item_fields)
        self.seed = seed
        self.drop_all_picked = drop_all_picked
        self.results_per_session = results_per_session
        self.sessions_per_query = sessions_per_query
        self.ranker_noise = ranker_noise
        self.query_retriever = query_retriever
        self.normalizer = normalizer
        self.item_text = item_text
        self.order = order
        self.shuffled_share = shuffled_share
        self.clicks = clicks or PositionBasedClicks(eta, click_probability, false_click_probability)

    def identity(self) -> SourceIdentity | None:
        """Its files, and how they are read; None where a store does not tell when a file changes.

        Raises:
            DataError: one is missing.
        """
        files = {name: find_file(self.folder, name) for name in ("corpus.jsonl", "queries.jsonl")}
        files |= {f"qrels/{split}": path for split, path in judgement_files(self.folder).items()}
        if any(isinstance(file, RecordFile) and not file.state for file in files.values()):
            return None
        options = {name: value for name, value in vars(self).items() if name not in ("folder", "clicks")}
        options |= {name: told(options[name]) for name in ("query_retriever", "normalizer", "item_text")}
        return SourceIdentity(
            files, {**options, "clicks": self.clicks.identity(), "names": [path.name for path in files.values()]}
        )

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read the three kinds of files.

        Raises:
            DataError: a file is missing or empty, a field of `item_fields` is in no line, no judgement is
                left, or too many lines are malformed.
        """
        if not is_remote(self.folder) and not Path(self.folder).is_dir():
            raise DataError(
                f"data.source.folder: {self.folder} is not a folder. Expected one with corpus.jsonl, queries.jsonl "
                f"and qrels/train.tsv, qrels/test.tsv (each plain or .gz)."
            )
        corpus, queries_file = (find_file(self.folder, name) for name in ("corpus.jsonl", "queries.jsonl"))
        items, merged, corpus_lines = read_corpus(corpus, self.item_fields, quarantine, self.item_text, self.normalizer)
        queries = read_queries(queries_file, quarantine, self.query_retriever)
        sessions = _Sessions()
        for split, file in judgement_files(self.folder).items():
            for query_id, judged in read_judgements(file, queries, items, quarantine).items():
                sessions.add(split, query_id, queries[query_id], judged)
        if not sessions.ids:
            raise DataError(
                f"{below(self.folder, 'qrels')}: no judgement is left. Expected query-id, corpus-id, score."
            )
        dropped = Counter({"identical lines of the corpus": merged})
        texts: Any = {"item_fields": {"": corpus_lines.fields}, "warnings": corpus_lines.warnings()}
        if self.reading == "shown":
            inputs = self._shown(items, sessions, dropped)
            note = "shown lists: every judged item of a query, in a drawn order; picked where the score is above 0"
            return SourceData(items, inputs, None, dropped, (note,), learns_from=JUDGED_AS_PICKED, **texts)
        if self.reading == "labels":
            return SourceData(items, sessions.labelled(items, self.seed), None, dropped, learns_from=LABELS, **texts)
        if self.reading == "judged":
            shows = JudgedListSimulator(
                self.clicks, self.order, self.sessions_per_query, self.shuffled_share, self.seed
            )
            return self._simulated(items, sessions, shows, dropped, texts)
        simulator = ClickSimulator(
            items, self.clicks, self.results_per_session, self.sessions_per_query, self.ranker_noise, self.seed
        )
        return self._simulated(items, sessions, simulator, dropped, texts)

    def _simulated(
        self,
        items: ItemsSet,
        sessions: _Sessions,
        shows: ClickSimulator | JudgedListSimulator,
        dropped: Counter[str],
        texts: Mapping[str, Any],
    ) -> SourceData:
        inputs = sessions.unseen(items)
        return SourceData(items, inputs, shows, dropped, (shows.describe(),), learns_from=SIMULATED_CLICKS, **texts)

    def item_records(self, quarantine: Quarantine) -> Iterator[ItemRecord]:
        """The records of items as they stand in the corpus, those left out that have no id.

        Raises:
            DataError: they cannot be had.
        """
        return corpus_records(find_file(self.folder, "corpus.jsonl"), self.normalizer)

    def _shown(self, items: ItemsSet, sessions: _Sessions, dropped: Counter[str]) -> FineTuningInputs:
        inputs = sessions.shown(items, self.seed)
        lengths = np.diff(inputs.offsets)
        picked = np.add.reduceat(inputs.flat_events > 0, inputs.offsets[:-1])
        too_short = lengths < 2
        all_picked = (picked == lengths) & ~too_short & self.drop_all_picked
        dropped["sessions with fewer than two results"] += int(too_short.sum())
        dropped["sessions in which every result was picked"] += int(all_picked.sum())
        return inputs.select(~(too_short | all_picked))


class _Sessions:
    """Sessions as they are read: a query of a split with its judged items."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._splits: list[str] = []
        self._queries: list[str] = []
        self._query_ids: list[str] = []
        self._judged = RaggedPairs()

    def add(self, split: str, query_id: str, query: str, judged: dict[int, float]) -> None:
        self.ids.append(f"{split}:{query_id}")
        self._splits.append(split)
        self._queries.append(query)
        self._query_ids.append(query_id)
        self._judged.append(judged.keys(), judged.values())

    def unseen(self, items: ItemsSet) -> FineTuningInputs:
        """Queries with known relevance that were shown nothing yet."""
        return FineTuningInputs.from_columns(
            items,
            self.ids,
            self._queries,
            offsets=np.zeros(len(self.ids) + 1, dtype=np.int64),
            results=np.zeros(0, dtype=np.int32),
            events=np.zeros(0, dtype=np.float32),
            judgements=self._labels,
            split=self._splits,
        )

    @property
    def _labels(self) -> Labels:
        return Labels(self._judged.offsets, self._judged.rows, self._judged.weights)

    def labelled(self, items: ItemsSet, seed: int) -> FineTuningInputs:
        """Queries with known relevance, which is what was picked, too."""
        return self._listed(items, seed, self._labels)

    def shown(self, items: ItemsSet, seed: int) -> FineTuningInputs:
        """Queries that were shown what was judged, and picked what is relevant."""
        return self._listed(items, seed, None)

    def _listed(self, items: ItemsSet, seed: int, judgements: Labels | None) -> FineTuningInputs:
        offsets = self._judged.offsets
        drawn = np.random.default_rng(seed).random(len(self._judged.rows))
        order = np.lexsort((drawn, np.repeat(np.arange(len(self.ids)), np.diff(offsets))))
        return FineTuningInputs.from_columns(
            items,
            self.ids,
            self._queries,
            offsets=offsets,
            results=self._judged.rows[order],
            events=self._judged.weights[order],
            judgements=judgements,
            split=self._splits,
        )
