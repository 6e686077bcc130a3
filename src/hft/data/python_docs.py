"""The standard library's docstrings as a search problem: real text that is on every machine with Python."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import DirectoryPath, Field

from hft.data.clicks.simulated import PositionBasedClicks, SimulatedClicks
from hft.data.docstrings import docstrings, query_and_item, source_files
from hft.data.identity import SourceIdentity
from hft.data.inputs import FineTuningInputs, Labels
from hft.data.items import ItemsSet
from hft.data.near_duplicates import query_key
from hft.data.simulator import ClickSimulator
from hft.data.source import SIMULATED_CLICKS, SourceData
from hft.data.text_clusters import first_of_each, near_duplicate_clusters
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine


class PythonDocs:
    """Pairs from docstrings: the first paragraph is the query, the rest is the item; names are left out of
    the item.

    The source files are parsed, never imported. Near-duplicate items (inherited docstrings) are clustered
    and one is kept, as with queries that are the same by their near-duplicate key. A pair's group is its
    module. Shown lists and clicks are simulated after the split (hft.data.simulator), so that a list holds
    items of its own split only.

    Args:
        seed: of the simulator's draws.
        results_per_session: results shown in a session.
        sessions_per_query: sessions simulated for a training query; held-out queries have one each.
        ranker_noise: standard deviation of the noise on the ranker's (BM25's) scores, relative to a query's
            best.
        eta: examination of position p is 1/p^eta; 0 examines everything.
        click_probability: of an examined relevant result.
        false_click_probability: of an examined irrelevant result.
        min_query_words: shorter first paragraphs are left out.
        min_item_words: shorter items are left out.
        folder: root of the source files; None takes the running Python's standard library.
        clicks: another model of those who click, in place of the position-based one that the numbers above describe.
    """

    def __init__(
        self,
        seed: Annotated[int, Field(ge=0)] = 0,
        results_per_session: Annotated[int, Field(ge=2, le=1000)] = 10,
        sessions_per_query: Annotated[int, Field(ge=1, le=1000)] = 2,
        ranker_noise: Annotated[float, Field(ge=0.0, le=100.0)] = 0.1,
        eta: Annotated[float, Field(ge=0.0, le=5.0)] = 0.5,
        click_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9,
        false_click_probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.02,
        min_query_words: Annotated[int, Field(ge=1)] = 3,
        min_item_words: Annotated[int, Field(ge=1)] = 4,
        folder: DirectoryPath | None = None,
        clicks: SimulatedClicks | None = None,
    ) -> None:
        self.seed = seed
        self.results_per_session = results_per_session
        self.sessions_per_query = sessions_per_query
        self.ranker_noise = ranker_noise
        self.clicks = clicks or PositionBasedClicks(eta, click_probability, false_click_probability)
        self.min_query_words = min_query_words
        self.min_item_words = min_item_words
        self.folder = Path(sysconfig.get_path("stdlib")) if folder is None else Path(folder)

    def identity(self) -> SourceIdentity:
        """The Python source below the folder, and how it is read."""
        files = {path.relative_to(self.folder).as_posix(): path for path in source_files(self.folder)}
        options = {name: value for name, value in vars(self).items() if name not in ("folder", "clicks")}
        return SourceIdentity(files, {**options, "clicks": self.clicks.identity()})

    def read(self, quarantine: Quarantine) -> SourceData:
        """The pairs, one input a query, without shown lists; `impressions` makes those after the split.

        Raises:
            DataError: the folder has no documented Python source.
        """
        modules: list[str] = []
        names: list[str] = []
        queries: list[str] = []
        texts: list[str] = []
        for docstring in docstrings(self.folder):
            query, text = query_and_item(docstring)
            long_enough = len(query.split()) >= self.min_query_words
            if long_enough and len(text.split()) >= self.min_item_words:
                modules.append(docstring.module)
                names.append(f"{docstring.module}:{docstring.name}")
                queries.append(query)
                texts.append(text)
        if not texts:
            raise DataError(
                f"data.source.folder: no docstring of more than one paragraph below {self.folder}. Expected Python "
                f"source files; this Python may have been installed without its source. Name another folder, or "
                f"choose other data (data=sessions, data=beir)."
            )
        kept = first_of_each([query_key(query) for query in queries])
        clusters = near_duplicate_clusters([texts[row] for row in kept])
        distinct = kept[first_of_each(clusters)]
        dropped = {
            "docstrings whose query is there already": len(texts) - len(kept),
            "docstrings whose text is nearly there already": len(kept) - len(distinct),
        }
        items, inputs = _pairs(
            [_unique(names, row) for row in distinct],
            [queries[row] for row in distinct],
            [texts[row] for row in distinct],
            [modules[row] for row in distinct],
        )
        simulator = ClickSimulator(
            items, self.clicks, self.results_per_session, self.sessions_per_query, self.ranker_noise, self.seed
        )
        modules_line = f"docstrings of {len(set(modules)):,} modules, read as text"
        told = (modules_line, simulator.describe())
        return SourceData(items, inputs, simulator, dropped, told, learns_from=SIMULATED_CLICKS)


def _unique(names: list[str], row: int) -> str:
    """An id from the object's name; a second definition of one name (overloads, branches) gets a number."""
    earlier = names[:row].count(names[row])
    return names[row] if earlier == 0 else f"{names[row]}#{earlier + 1}"


def _pairs(
    ids: list[str], queries: list[str], texts: list[str], groups: list[str]
) -> tuple[ItemsSet, FineTuningInputs]:
    count = len(ids)
    items = ItemsSet.from_columns(ids, texts, groups=groups)
    one_each = np.arange(count + 1, dtype=np.int64)
    inputs = FineTuningInputs.from_columns(
        items,
        ids,
        queries,
        offsets=np.zeros(count + 1, dtype=np.int64),
        results=np.zeros(0, dtype=np.int32),
        events=np.zeros(0, dtype=np.float32),
        judgements=Labels(one_each, np.arange(count, dtype=np.int32), np.ones(count, dtype=np.float32)),
        group=groups,
    )
    return items, inputs
