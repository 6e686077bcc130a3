"""Two runs side by side: what differs, and values of the same queries in the same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_runs import small_config, train_line

from hft.errors import DataError
from hft.experiments import RunRecord
from hft.experiments.side_by_side import paired_values, side_by_side


def run_with_values(name: str, queries: list[str], values: list[float]) -> RunRecord:
    record = train_line(small_config(), Path(name))
    arrays = {"test/ndcg@10/tuned": np.array(values), "test/query_hash": np.array(queries)}
    np.savez(record.folder / "per_query.npz", **arrays)  # type: ignore[arg-type]  # keywords are arrays here
    return record


def test_settings_that_differ_are_listed_with_both_values() -> None:
    first = train_line(small_config(), Path("a"))
    second = train_line(small_config(params__items_lr=0.2, extra__key=None), Path("b"))
    found = side_by_side(first, second)
    assert [tuple(change) for change in found.settings] == [
        ("extra.key", "(absent)", None),
        ("params.items_lr", 0.1, 0.2),
    ]
    assert found.surroundings == []


def test_other_data_is_a_difference_of_the_surroundings() -> None:
    first, second = train_line(small_config(), Path("a")), train_line(small_config(), Path("b"), data_hash="data-2")
    assert [tuple(c) for c in side_by_side(first, second).surroundings] == [("hashes.data", "data-1", "data-2")]


def test_a_metric_that_one_run_lacks_is_none_there() -> None:
    first, second = train_line(small_config(), Path("a"), score=0.5), train_line(small_config(), Path("b"), score=0.75)
    del second.results.metrics["test_ndcg@10_start"]
    metrics = side_by_side(first, second).metrics
    assert metrics["test_ndcg@10"] == (0.5, 0.75)
    assert metrics["test_ndcg@10_start"] == (0.25, None)


def test_values_are_paired_by_query_whatever_their_order() -> None:
    first = run_with_values("a", ["x", "y", "z"], [0.1, 0.2, 0.3])
    second = run_with_values("b", ["z", "w", "x"], [3.0, 4.0, 1.0])
    ours, theirs = paired_values(first, second)["ndcg@10"]
    assert sorted(zip(ours, theirs, strict=True)) == [(0.1, 1.0), (0.3, 3.0)]


def test_runs_without_values_or_without_a_shared_query_have_no_pairs() -> None:
    first = run_with_values("a", ["x"], [0.1])
    assert paired_values(first, train_line(small_config(), Path("b"))) == {}
    assert paired_values(first, run_with_values("c", ["y"], [0.1])) == {}


def test_a_file_of_values_that_cannot_be_read_is_named() -> None:
    first = run_with_values("a", ["x"], [0.1])
    (first.folder / "per_query.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(DataError, match=r"per_query\.npz"):
        paired_values(first, first)


def test_a_file_of_values_with_python_objects_is_refused() -> None:
    first = run_with_values("a", ["x"], [0.1])
    np.savez(first.folder / "per_query.npz", **{"test/query_hash": np.array([{}], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"per_query\.npz"):
        paired_values(first, first)
