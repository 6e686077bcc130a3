"""hft from Python: compose, train, load, with the checks and errors of the command, also inside another Hydra app."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hft
from hft.cli import main
from hft.config import CheckFailedError
from hft.errors import ConfigError, DataError, RunNotFoundError
from hft.experiments import load_record
from hft.models import load_saved_model
from tiny_models import build_tiny_bert

TEXTS = ["a warm blanket", "hiking boots", "", "Überraschung! " * 40]

APP = """
import json, os, sys
import hydra
from omegaconf import OmegaConf
import hft
from hft.errors import ConfigError


@hydra.main(version_base=None, config_path="own", config_name="train")
def app(config):
    before = hydra.core.hydra_config.HydraConfig.get().job.name
    try:
        hft.compose(["loss=infonse"])
    except ConfigError as error:
        refusal = str(error)
    report = hft.train(hft.compose(list(config.overrides)))
    after = hydra.core.hydra_config.HydraConfig.get().job.name
    found = {"names": [before, after], "mine": config.mine, "queries": report.test["ndcg@10"].queries}
    print(json.dumps({**found, "refusal": refusal, "composed": OmegaConf.to_container(hydra.compose("train"))["mine"]}))


app()
"""


def test_compose_train_and_load_give_the_tuned_model(place: Path, small_run: list[str]) -> None:
    report = hft.train(hft.compose([*small_run, f"outputs={place}/outputs"]))
    [path] = place.rglob("run.yaml")
    record = load_record(path)
    stored = json.loads((record.folder / "report.json").read_text())
    found = stored["test"]["ndcg@10"]
    assert set(found) >= {"start", "tuned", "difference", "interval", "p", "queries"}
    assert report.test["ndcg@10"].tuned == found["tuned"] == record.results.metrics["test_ndcg@10"]
    model = hft.load(record.folder)
    assert model.encode(TEXTS, "query").shape == (len(TEXTS), 32)


def test_a_loaded_model_gives_the_vectors_of_sentence_transformers(place: Path, small_run: list[str]) -> None:
    library = pytest.importorskip("sentence_transformers")
    prompts = ["model.query_prompt='query: '", "model.item_prompt='item: '", "model.dense_dim=16"]
    hft.train(hft.compose([*small_run, *prompts]), folder="run")
    ours, theirs = hft.load("run"), library.SentenceTransformer("run/model", device="cpu")
    np.testing.assert_allclose(ours.encode(TEXTS, "query"), theirs.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(ours.encode(TEXTS, "items"), theirs.encode_document(TEXTS), atol=1e-5)


def test_two_towers_give_the_vectors_of_sentence_transformers(place: Path, small_run: list[str]) -> None:
    library = pytest.importorskip("sentence_transformers")
    other = build_tiny_bert(place / "other", seed=1)  # the towers differ whether training gains anything or not
    hft.train(hft.compose([*small_run, "model.shared=false", f"model.items_source={other}"]), folder="run")
    ours, theirs = hft.load("run"), library.SentenceTransformer("run/model", device="cpu")
    queries = ours.encode(TEXTS, "query")
    np.testing.assert_allclose(queries, theirs.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(ours.encode(TEXTS, "items"), theirs.encode_document(TEXTS), atol=1e-5)
    assert np.abs(queries - ours.encode(TEXTS, "items")).max() > 1e-3


def test_composing_refuses_what_the_command_refuses(place: Path) -> None:
    with pytest.raises(CheckFailedError, match=r"did you mean loss=infonce\?"):
        hft.compose(["loss=infonse"])
    with pytest.raises(ConfigError, match=r"did you mean params\.margin\?"):
        hft.compose(["params.margim=1"])


def test_a_config_changed_by_hand_is_checked_again(place: Path, small_run: list[str]) -> None:
    config = hft.compose(small_run)
    config.settings.batch_size = 0
    with pytest.raises(ConfigError, match=r"settings\.batch_size: found 0"):
        hft.train(config)
    assert list(place.iterdir()) == []


def test_a_key_added_by_hand_is_refused(place: Path, small_run: list[str]) -> None:
    from omegaconf import open_dict

    config = hft.compose(small_run)
    with open_dict(config):
        config.params.margim = 0.1
    with pytest.raises(ConfigError, match=r"did you mean params\.margin\?"):
        hft.train(config)


def test_data_that_cannot_be_used_raises_and_leaves_no_folder(place: Path, small_run: list[str]) -> None:
    (place / "empty.jsonl").touch()
    with pytest.raises(DataError, match="the file is empty"):
        hft.train(hft.compose([*small_run, "data.source.items=empty.jsonl"]))
    assert [path.name for path in place.rglob("*") if path.is_file()] == ["empty.jsonl"]
    assert not list((place / "outputs" / "text_embeddings").iterdir())


def test_an_unknown_run_cannot_be_loaded(place: Path) -> None:
    with pytest.raises(RunNotFoundError, match="'nowhere'"):
        hft.load("nowhere")


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(place: Path, small_run: list[str]) -> None:
    for folder, seed in (("one", 5), ("two", 5), ("three", 6)):
        hft.train(hft.compose([*small_run, f"seed={seed}"]), folder=folder)
    weights = [load_record(folder).results.weights for folder in ("one", "two", "three")]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_an_iteration_starts_from_the_tuned_model_of_another_run(place: Path, small_run: list[str]) -> None:
    hft.train(hft.compose([*small_run, "run_name=first"]), folder="outputs/first")
    hft.train(hft.compose([*small_run, "iteration.name=second", "iteration.start_from=first"]), folder="outputs/second")
    first, second = load_record("outputs/first"), load_record("outputs/second")
    assert second.parent == first.run_id
    assert second.hashes["base_model"] == load_saved_model(place / "outputs/first/model").fingerprint
    assert second.results.metrics["test_ndcg@10_start"] == first.results.metrics["test_ndcg@10"]
    assert main(["evaluate", "outputs/second", "--report", "seen"]) == 0
    seen = json.loads((place / "seen" / "report.json").read_text())
    assert seen["test"]["ndcg@10"]["start"] == first.results.metrics["test_ndcg@10"]
    assert seen["test"]["ndcg@10"]["tuned"] == second.results.metrics["test_ndcg@10"]


def test_inside_another_hydra_app(place: Path, small_run: list[str]) -> None:
    (place / "app.py").write_text(APP)
    (place / "own").mkdir()
    (place / "own" / "train.yaml").write_text(f"mine: 7\noverrides: {json.dumps(small_run)}\n")
    done = subprocess.run([sys.executable, "app.py"], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["names"] == ["app", "app"]
    assert (found["mine"], found["composed"]) == (7, 7)
    assert found["queries"] > 0
    assert "did you mean loss=infonce?" in found["refusal"]
    [record] = [load_record(path) for path in place.rglob("run.yaml")]
    assert record.status == "done"
    assert "loss" in record.config
    assert "mine" not in record.config
