"""The method categories_text: queries put into categories, scored by category and by level."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import hft
from hft.data import CategoryFiles, GivenSplitter
from hft.experiments import load_record
from hft.methods import CategoriesFineTuningMethod, CategoriesTextFineTuningMethod
from hft.methods.categories import category_scores
from hft.methods.proof import Measured
from hft.metrics import Report
from hft.models import load_text_model
from hft.reporting import print_report
from hft.training import Evaluation
from small_collections import write_categories, write_lines

TREE = ["Sport > Ball > Football", "Sport > Ball > Tennis", "Sport > Water", "Music"]


def tree_rows() -> list[dict[str, str]]:
    return [{"text": f"{name.lower()} text {n}", "category": name} for n in range(12) for name in TREE]


@pytest.fixture
def tree(tmp_path: Path) -> Any:
    rows = tree_rows()
    write_lines(tmp_path / "train.jsonl", rows[8:])
    write_lines(tmp_path / "test.jsonl", rows[:8])
    method = CategoriesTextFineTuningMethod({"name": "categories"}, "accuracy")
    source = CategoryFiles(tmp_path, path_separator=">")
    return method.prepare(source, GivenSplitter(), candidates="shown")


def measured(top: list[int]) -> Measured:
    rows = np.array(top)[:, None]
    return Measured(Evaluation({}, np.zeros(0, dtype=np.float32), rows), np.arange(len(top)))


def test_scores_at_each_level_of_a_hierarchy(tree: Any) -> None:
    row_of = {title: row for row, title in enumerate(tree.items.titles)}
    true = [row_of[TREE[n % 4]] for n in range(8)]
    # Both football texts are taken for tennis, one of water for music.
    top = [row_of[TREE[1]] if t == row_of[TREE[0]] else t for t in true]
    top[2] = row_of[TREE[3]]
    found = category_scores(measured(top), None, tree, seed=0)
    assert [level["accuracy"]["start"] for level in found["levels"]] == [7 / 8, 7 / 8, 5 / 8]
    assert [level["categories"] for level in found["levels"]] == [2, 3, 4]
    # Football 0, tennis 2*2/(2+4), water 2*1/(2+1), music 2*2/(2+3).
    assert found["macro_f1"]["start"] == pytest.approx((0 + 2 / 3 + 2 / 3 + 0.8) / 4)
    assert found["worst"][0]["name"] == TREE[0]
    assert found["worst"][0]["confused_with"][0]["name"] == TREE[1]
    assert found["macro_f1"] == found["levels"][-1]["macro_f1"]


def test_one_of_several_right_categories_is_right(tmp_path: Path) -> None:
    rows = [{"text": f"text {n} of it", "category": ["a", "b"] if n % 2 else ["b"]} for n in range(40)]
    write_lines(tmp_path / "train.jsonl", rows)
    write_lines(tmp_path / "test.jsonl", [{"text": "held out", "category": ["a", "b"]}])
    method = CategoriesTextFineTuningMethod({"name": "categories"}, "accuracy")
    data = method.prepare(CategoryFiles(tmp_path), GivenSplitter(), candidates="shown")
    row = data.items.row_of("b")
    assert category_scores(measured([row]), None, data, seed=0)["macro_f1"]["start"] == 1.0


def test_every_category_is_ranked_where_a_corpus_is(tmp_path: Path) -> None:
    rows = [{"text": f"text {n} of it", "category": f"c{n}"} for n in range(40)]
    write_lines(tmp_path / "train.jsonl", rows)
    write_lines(tmp_path / "test.jsonl", [{"text": "held out", "category": "c39"}])
    method = CategoriesTextFineTuningMethod({"name": "categories"}, "accuracy")
    data = method.prepare(CategoryFiles(tmp_path, shown=3), GivenSplitter(), candidates="corpus")
    assert {name: len(pool) for name, pool in data.pools.items()} == {"validation": 40, "test": 40}


def test_categories_of_like_texts_are_two_all_the_same(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [{"text": f"text {n} of it", "category": ["top up card", "top up  card_"][n % 2]} for n in range(40)]
    write_lines(tmp_path / "train.jsonl", rows)
    write_lines(tmp_path / "test.jsonl", rows[:1])
    method = CategoriesTextFineTuningMethod({"name": "categories"}, "accuracy")
    data = method.prepare(CategoryFiles(tmp_path), GivenSplitter(), candidates="shown")
    assert len(set(data.items.texts)) == 1
    assert method.tokenize(load_text_model(str(tiny_bert)), data).item_key.tolist() == [0, 1]


def test_a_run_tells_accuracy_macro_f1_and_the_worst_categories(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [
        "method=categories_text",
        *write_categories(tmp_path / "texts"),
        "model=local",
        f"model.source={tiny_bert}",
        "model.max_length=32",
        "settings.negatives=shown",
        "settings.num_epochs=20",
        "settings.batch_size=8",
        "params.items_lr=3e-3",
        "stopping.patience=null",
        "trainer=cpu",
        "trainer.enable_progress_bar=false",
        "tracking=csv",
        "threads=1",
    ]
    report = hft.train(hft.compose(given), folder=tmp_path / "run", overrides=given)
    assert issubclass(CategoriesTextFineTuningMethod, CategoriesFineTuningMethod)
    assert report.main.tuned is not None
    assert report.main.tuned > report.main.start
    assert {"item_popularity", "title_overlap", "bm25"} <= set(report.baselines)
    written = json.loads((tmp_path / "run" / "report.json").read_text())
    assert written["categories"] == report.categories == Report.from_dict(written).categories
    metrics = load_record(tmp_path / "run").results.metrics
    assert metrics["test_macro_f1"] == report.categories["macro_f1"]["tuned"]
    console = Console(width=110, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_report(written, console)
    text = console.export_text()
    assert "macro-F1" in text
    assert "Worst categories" in text
