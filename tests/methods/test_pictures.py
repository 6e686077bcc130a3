"""The method default: a text finds its picture, from files to a model that other commands read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hft
from hft.cli import main
from hft.errors import ConfigError
from hft.methods import DefaultFineTuningMethod
from hft.models import ImageTextModel, build_clip, load_saved_model, load_text_model
from small_collections import SMALL_TOWERS, write_pictures
from small_training import small_data
from tiny_models import write_tiny_clip

QUICK = [
    "trainer=cpu",
    "trainer.enable_progress_bar=false",
    "tracking=csv",
    "threads=1",
    "data.splitter.validation=0.2",
    "data.splitter.test=0.25",
    "settings.batch_size=12",
    "settings.num_epochs=12",
    "stopping.patience=null",
    "params.items_lr=3e-3",
    "params.query_lr=3e-3",
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(place: Path, name: str, *overrides: str, towers: list[str] = SMALL_TOWERS) -> Any:
    given = ["method=default", *write_pictures(place / "pictures"), *towers, *QUICK, *overrides]
    return hft.train(hft.compose(given), folder=place / "outputs" / "default" / name, overrides=given)


def test_held_out_captions_find_their_pictures_far_above_chance(place: Path) -> None:
    report = train(place, "run", "settings.num_epochs=40")
    recall = report.test["recall@10"]
    assert report.candidates == "corpus"
    assert recall.tuned > 2 * 10 / 48
    assert report.baselines.keys() == {"random"}, "a baseline must not read the captions of the pictures"


def test_the_run_embeds_evaluates_and_repeats(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(place, "run")
    run = str(place / "outputs" / "default" / "run")
    names = sorted((place / "pictures" / "images").iterdir())[:5]
    (place / "files.txt").write_text("\n".join(map(str, names)) + "\n")
    (place / "texts.txt").write_text("a red square\na huge blue bar\n")
    assert main(["embed", run, "files.txt", "files.npy"]) == 0
    assert main(["embed", run, "texts.txt", "texts.npy", "--side", "query"]) == 0
    files, texts = np.load("files.npy"), np.load("texts.npy")
    assert files.shape == (5, 16)
    assert texts.shape == (2, 16)
    model = load_saved_model(Path(run) / "model")
    np.testing.assert_array_equal(texts, model.encode(["a red square", "a huge blue bar"], "query"))
    capsys.readouterr()

    assert main(["evaluate", run, "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    written = json.loads((Path(run) / "report.json").read_text())
    for model_of in ("start", "tuned"):
        assert evaluated["test"]["ndcg@10"][model_of] == pytest.approx(written["test"]["ndcg@10"][model_of])

    assert main(["reproduce", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_an_embedding_of_a_file_that_is_no_picture_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(place, "run", "settings.num_epochs=1")
    (place / "files.txt").write_text("files.txt\n")
    assert main(["embed", str(place / "outputs" / "default" / "run"), "files.txt", "out.npy"]) == 2
    assert "files.txt" in capsys.readouterr().err
    assert not Path("out.npy").exists()


def test_a_clip_of_others_is_fine_tuned_and_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_tiny_clip(place / "clip")
    report = train(place, "run", "settings.num_epochs=4", towers=["model=clip", f"model.source={clip}"])
    assert report.main.tuned is not None
    pictures = [f"data.source.folder={place / 'pictures'}", "data=pictures", "method=default"]
    capsys.readouterr()
    assert main(["evaluate", str(clip), *pictures, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"]["recall@10"]["start"] >= 0.0


def test_a_run_starts_from_the_model_of_another(place: Path) -> None:
    first = train(place, "first", "settings.num_epochs=20", "iteration.name=one")
    second = train(place, "second", "settings.num_epochs=1", "iteration.name=two", "iteration.start_from=first")
    assert second.test["recall@10"].start == pytest.approx(first.test["recall@10"].tuned)


def test_trials_of_a_sweep_share_pictures_and_words(place: Path) -> None:
    given = ["method=default", *write_pictures(place / "pictures"), *SMALL_TOWERS, *QUICK, "settings.num_epochs=2"]
    jobs = ["-m", "search=none", "params.items_lr=1e-3,3e-3", "hydra.sweep.dir=sweep"]
    assert main(["train", *given, *jobs]) == 0
    models = sorted(Path("sweep").glob("*/model"))
    assert len(models) == 2
    for folder in models:
        model = load_saved_model(folder)
        assert isinstance(model, ImageTextModel)
        assert len(model.tokenize(["a red square"], "query")[0]) == 5


def test_hard_negatives_are_mined_among_pictures(place: Path) -> None:
    mining = "settings.hard_negatives={every_n_epochs: 2, count: 3, margin: 0.0}"
    assert train(place, "run", mining, "settings.num_epochs=4").main.tuned is not None


def test_a_word_of_held_out_captions_alone_is_not_learnt(place: Path) -> None:
    overrides = write_pictures(place / "pictures")
    data = place / "pictures" / "captions.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    config = hft.compose(["method=default", *overrides, *SMALL_TOWERS, *QUICK])
    from hydra.utils import instantiate

    method = instantiate(config.method)
    splitter, source = instantiate(config.data.splitter), instantiate(config.data.source)
    prepared = method.prepare(source, splitter, candidates="corpus")
    held_out = {f"images/{name}" for name in ()} | {prepared.items.ids[row] for row in prepared.test.flat_results}
    lines = [{**row, "caption": row["caption"] + (" zebra" if row["image"] in held_out else "")} for row in rows]
    data.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    prepared = method.prepare(source, splitter, candidates="corpus")
    assert any("zebra" in query for query in prepared.test.queries)
    model = instantiate(config.model)
    method.tokenize(model, prepared)
    assert "zebra" not in model.query_tower.tokenizer.get_vocab()
    assert "square" in model.query_tower.tokenizer.get_vocab()


def test_captions_are_measured_misspelt_where_it_is_asked_for(place: Path) -> None:
    typos = ["data/augmentation=typos", "data.augmentation.share=1.0", "data.augmentation.do_augment_test=true"]
    given = ["method=default", *write_pictures(place / "pictures"), *SMALL_TOWERS, *QUICK, *typos]
    config = hft.compose(given)
    from hydra.utils import instantiate

    method, model = instantiate(config.method), instantiate(config.model)
    source, splitter = instantiate(config.data.source), instantiate(config.data.splitter)
    augmentation = instantiate(config.data.augmentation)
    data = method.tokenize(model, method.prepare(source, splitter, candidates="corpus", augmentation=augmentation))
    rows = np.arange(len(data.queries))
    assert not np.array_equal(data.evaluated_queries.rows(rows).flat, data.queries.rows(rows).flat)
    assert data.evaluated_items is data.items


def test_models_and_data_that_do_not_fit_are_refused(place: Path, tiny_bert: Path) -> None:
    method = DefaultFineTuningMethod({"name": "default"}, "recall@10")
    with pytest.raises(ConfigError, match="model=clip_small"):
        method.tokenize(load_text_model(str(tiny_bert)), small_data())
    with pytest.raises(ConfigError, match="80 of 80 items have none"):
        method.tokenize(build_clip(image_size=16, patch_size=8), small_data())
