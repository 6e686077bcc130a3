"""The two real collections run end to end: a clickstream with its shown lists, and a labelled corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

import hft
from hft.experiments import load_record
from hft.metrics import Report


def _run(name: str, shared_data: Path, tiny_model: list[str]) -> Report:
    collection = shared_data / name
    if not collection.is_dir():
        pytest.skip(f"no collection at {collection}")
    overrides = [f"experiment={name}", f"data.source.folder={collection}", *tiny_model]
    quick = ["trainer=debug", "tracking=csv", "threads=1", "settings.batch_size=16"]
    return hft.train(hft.compose([*overrides, *quick]), folder="run")


@pytest.mark.slow
@pytest.mark.pictures
def test_movie_search_ranks_the_shown_lists_again(place: Path, shared_data: Path, tiny_model: list[str]) -> None:
    report = _run("movie_search", shared_data, tiny_model)
    record = load_record("run")
    assert record.status == "done"
    assert report.candidates == "shown"
    assert report.test["ndcg@10"].queries == 48
    assert {"bm25", "random", "title_overlap", "item_popularity"} <= set(report.baselines)
    assert report.baselines["title_overlap"]["ndcg@10"] > report.baselines["random"]["ndcg@10"]
    assert report.slices
    assert (Path("run") / "pictures" / "learning_curves.png").is_file()


@pytest.mark.slow
def test_scifact_ranks_the_corpus(place: Path, shared_data: Path, tiny_model: list[str]) -> None:
    report = _run("scifact", shared_data, tiny_model)
    record = load_record("run")
    assert (record.status, record.learns_from) == ("done", "labels, by their grades")
    assert report.candidates == "corpus"
    assert report.test["ndcg@10"].queries == 48
    assert report.baselines["bm25"]["ndcg@10"] > 0.5 > report.baselines["random"]["ndcg@10"]
