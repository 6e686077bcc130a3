from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from hft.data import GroupSplitter, PythonDocs, QuerySplitter, RankingData, prepare_ranking_data, query_key
from hft.errors import DataError


@pytest.fixture(scope="module")
def data() -> RankingData:
    return prepare_ranking_data(PythonDocs(), GroupSplitter(), candidates="corpus")


def test_the_default_data_is_large_enough(data: RankingData) -> None:
    assert len(data.test) >= 600
    assert len(data.validation) >= 80
    assert len(data.train) >= 1000


def test_modules_are_in_one_split_and_queries_near_no_other(data: RankingData) -> None:
    groups = [set(inputs.table.column("group").to_pylist()) for inputs in data.splits.values()]
    keys = [set(map(query_key, inputs.queries)) for inputs in data.splits.values()]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not groups[one] & groups[other]
        assert not keys[one] & keys[other]


def test_lists_show_items_of_their_own_split_only(data: RankingData) -> None:
    """No test item enters a training list, not even as a negative."""
    modules = {name: set(inputs.table.column("group").to_pylist()) for name, inputs in data.splits.items()}
    for name, inputs in data.splits.items():
        shown = {data.items.groups[row] for row in set(inputs.flat_results.tolist())}
        others = set().union(*(found for other, found in modules.items() if other != name))
        assert not shown & others


def test_each_query_has_one_relevant_item_which_is_shown(data: RankingData) -> None:
    for inputs in data.splits.values():
        labels = inputs.labels()
        assert np.diff(labels.offsets).tolist() == [1] * len(inputs)
        gains = np.add.reduceat(inputs.shown_gains(), inputs.offsets[:-1])
        assert gains.tolist() == [1.0] * len(inputs)


def test_every_training_session_has_an_event_and_test_queries_come_once(data: RankingData) -> None:
    assert data.train.has_event.all()
    assert len(set(data.test.queries)) == len(data.test)
    assert data.report.dropped["train sessions without an event"] > 0


def test_items_do_not_name_what_they_document(data: RankingData) -> None:
    for item_id, text in zip(data.items.ids, data.items.texts, strict=True):
        name = re.split(r"[.:]", item_id.split("#")[0])[-1]
        if name:
            assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE), item_id


def test_validation_ranks_a_pool_without_test_items_and_test_the_whole_corpus(data: RankingData) -> None:
    test_modules = set(data.test.table.column("group").to_pylist())
    validation = data.pools["validation"]
    assert len(validation) == 1000
    assert not {data.items.groups[row] for row in validation.tolist()} & test_modules
    assert set(data.validation.labels().rows.tolist()) <= set(validation.tolist())
    assert data.pools["test"].tolist() == list(range(len(data.items)))


def test_the_simulator_is_named_in_the_report(data: RankingData) -> None:
    lines = "\n".join(data.report.lines())
    assert "BM25 with normal noise 0.1" in lines
    assert "position-based" in lines


def test_the_data_hash_is_the_same_in_another_process_and_changes_with_the_seed() -> None:
    folder = Path(sysconfig.get_path("stdlib")) / "asyncio"
    code = (
        "from hft.data import *; from pathlib import Path\n"
        f"source = PythonDocs(folder=Path({str(folder)!r}))\n"
        "print(prepare_ranking_data(source, QuerySplitter(), candidates='corpus').fingerprint())"
    )
    data, other = (
        prepare_ranking_data(PythonDocs(seed, folder=folder), QuerySplitter(), candidates="corpus") for seed in (0, 1)
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == data.fingerprint()
    assert other.fingerprint() != data.fingerprint()
    assert other.test.queries == data.test.queries


def test_a_few_sessions_are_enough_for_a_trial() -> None:
    source = PythonDocs(folder=Path(sysconfig.get_path("stdlib")) / "asyncio")
    small = prepare_ranking_data(source, QuerySplitter(), candidates="corpus", limit_sessions=20, limit_items=50)
    assert max(len(inputs) for inputs in small.splits.values()) <= 20
    assert [len(pool) for pool in small.pools.values()] == [50, 50]
    assert set(small.test.labels().rows.tolist()) <= set(small.pools["test"].tolist())


def test_a_folder_without_source_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no docstring"):
        prepare_ranking_data(PythonDocs(folder=tmp_path), GroupSplitter(), candidates="corpus")
