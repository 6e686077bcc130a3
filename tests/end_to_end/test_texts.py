"""Every model is trained, measured, embedded and exported by its own texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import hft
from hft.checksums import CHECKSUMS_NAME
from hft.cli import main
from hft.experiments import load_record
from small_collections import items

Train = Callable[..., dict[str, Any]]


def of_any_text(small_run: list[str]) -> list[str]:
    """The small run with the default texts: title and text."""
    return [part for part in small_run if not part.startswith("data.source.fields.text=")]


@pytest.fixture
def train(small_run: list[str], place: Path) -> Train:
    """`train(name, *overrides)` runs `hft train` in outputs/NAME and returns report.json."""

    def run(name: str, *overrides: str) -> dict[str, Any]:
        assert (
            main(["train", *of_any_text(small_run), f"hydra.run.dir=outputs/{name}", f"run_name={name}", *overrides])
            == 0
        )
        found: dict[str, Any] = json.loads((place / "outputs" / name / "report.json").read_text())
        return found

    return run


@pytest.fixture
def items_file(session_files: list[str]) -> str:
    """The items that the runs were trained on."""
    return session_files[2].partition("=")[2]


def embedded(model: str, file: str, *options: str) -> np.ndarray:
    assert main(["embed", model, file, "vectors.npy", *options]) == 0
    found: np.ndarray = np.load("vectors.npy", allow_pickle=False)
    return found


def test_a_model_is_given_the_same_texts_wherever_it_goes(
    train: Train, place: Path, items_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train("run")
    assert "48 items, their texts made of title, text" in "".join(capsys.readouterr())
    texts = load_record("outputs/run").texts
    assert texts is not None
    assert texts["items"] == {"": {"fields": ["title", "text"]}}
    model = hft.load("outputs/run")
    by_hand = model.encode([f"{item['title']}\n{item['text']}" for item in items()], "items")
    np.testing.assert_array_equal(embedded("run", items_file), by_hand)
    assert "texts made of: title, text" in capsys.readouterr().err
    np.testing.assert_array_equal(model.encode(items(), "items"), by_hand)
    assert main(["export", "run", "exported"]) == 0
    assert "The text of an item is made of title, text" in capsys.readouterr().out
    np.testing.assert_array_equal(embedded("exported", items_file), by_hand)
    np.testing.assert_array_equal(hft.load("exported").encode(items(), "items"), by_hand)
    titles = model.encode([item["title"] for item in items()], "items")
    np.testing.assert_array_equal(embedded("exported", items_file, "--field", "title"), titles)
    np.testing.assert_array_equal(embedded("exported", items_file, "--field", "[title,text]"), by_hand)
    np.testing.assert_array_equal(embedded("exported", items_file, "--field", "title", "--field", "text"), by_hand)


def test_templates_normalisers_and_prompts_of_a_run_are_those_it_is_served_with(
    train: Train, place: Path, items_file: str
) -> None:
    template = "data.source.item_text={_target_: hft.data.ItemTemplate, template: ['{name}[[ / {text|words 3}]]']}"
    normalizer = "data.source.normalizer={_target_: hft.data.FieldsNormalizer, rename: {title: name}, lower: true}"
    train("run", template, normalizer, "model.item_prompt='item: '")
    model = hft.load("outputs/run")
    by_hand = model.encode([f"{i['title']} / {' '.join(i['text'].split()[:3])}".lower() for i in items()], "items")
    np.testing.assert_array_equal(embedded("run", items_file), by_hand)
    assert main(["export", "run", "exported"]) == 0
    np.testing.assert_array_equal(embedded("exported", items_file), by_hand)


def test_items_in_parts_are_embedded_in_the_runs_parts(
    train: Train, place: Path, items_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train("run", "data/item_splitter=separator", "data.item_splitter.separator=','")
    assert main(["embed", "run", items_file, "vectors.npy"]) == 2
    assert "Write vectors.parquet instead" in capsys.readouterr().err
    assert main(["embed", "run", items_file, "vectors.parquet"]) == 0
    table = pq.read_table("vectors.parquet")
    first = [row["text"] for row in table.to_pylist() if row["item"] == 0]
    assert first == [part.strip() for part in f"{items()[0]['title']}\n{items()[0]['text']}".split(",")]
    expected = hft.load("run").encode(table.column("text").to_pylist(), "items")
    np.testing.assert_array_equal(np.array(table.column("vector").to_pylist(), dtype=np.float32), expected)


def _made_old(folder: Path) -> None:
    """A record and a model as they were before runs declared their texts, which were the field `text`."""
    record = yaml.safe_load((folder / "run.yaml").read_text())
    del record["texts"]
    for config in (record["config"], record["config_unresolved"]):
        config["data"]["source"]["fields"]["text"] = "text"
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    for name in ("hft_texts.json", CHECKSUMS_NAME):
        (folder / "model" / name).unlink()


def test_an_old_record_goes_on_by_the_field_text(
    train: Train, place: Path, items_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train("first", "data.source.fields.text=text")
    _made_old(place / "outputs" / "first")
    by_text = hft.load("first").encode([item["text"] for item in items()], "items")
    np.testing.assert_array_equal(embedded("first", items_file), by_text)
    np.testing.assert_array_equal(embedded("outputs/first/model", items_file), by_text)
    assert main(["evaluate", "first", "--report", "seen"]) == 0
    seen = json.loads((place / "seen" / "report.json").read_text())
    assert seen["test"]["ndcg@10"]["tuned"] == first["test"]["ndcg@10"]["tuned"]
    second = train("second", "iteration=next", "iteration.start_from=first")
    assert load_record("outputs/second").texts["items"][""]["fields"] == ["text"]  # type: ignore[index]
    assert second["test"]["ndcg@10"]["start"] == first["test"]["ndcg@10"]["tuned"]


def test_a_parent_is_measured_by_its_own_texts_where_the_next_iteration_names_others(
    train: Train, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train("first", "data.source.fields.text=[title]")
    named = "data.source.fields.text=[title,text]"
    second = train("second", "iteration=next", "iteration.start_from=first", named)
    assert "the starting model is measured by its own texts, title" in "".join(capsys.readouterr())
    assert second["test"]["ndcg@10"]["start"] == first["test"]["ndcg@10"]["tuned"]
    assert load_record("outputs/second").texts["items"][""]["fields"] == ["title", "text"]  # type: ignore[index]
    assert main(["evaluate", "second", "--report", "seen"]) == 0
    seen = json.loads((place / "seen" / "report.json").read_text())
    assert seen["test"]["ndcg@10"]["start"] == first["test"]["ndcg@10"]["tuned"]
    assert seen["test"]["ndcg@10"]["tuned"] == second["test"]["ndcg@10"]["tuned"]
    assert "given its own texts, title; baselines see title, text" in seen["conclusion"]
    capsys.readouterr()
    assert main(["evaluate", "second", "data.source.fields.text=[text]", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "measured by the texts that this request names" in err
    assert json.loads(out)["test"]["ndcg@10"]["tuned"] != second["test"]["ndcg@10"]["tuned"]


def test_the_gate_gives_each_model_its_own_texts(train: Train, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = train("first", "data.source.fields.text=[title]", "params.items_lr=1e-3")
    second = train("second")
    store = ["tracking=local", "--outputs", "outputs"]
    main(["promote", "first", *store])
    capsys.readouterr()
    main(["promote", "second", *store, "promotion.rule=non_inferior", "promotion.margin=0.9", "--json"])
    out = json.loads(capsys.readouterr().out)
    assert out["rivals"][0]["candidate"] == pytest.approx(second["test"]["ndcg@10"]["tuned"])
    if out["rivals"][0]["role"] == "champion":
        assert out["rivals"][0]["rival"] == pytest.approx(first["test"]["ndcg@10"]["tuned"])


def test_an_evaluation_compares_the_fields_of_the_items_on_validation(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    model = small_run[4].partition("=")[2]
    data = [*small_run[:3], "model.max_length=32", "threads=1"]
    assert main(["evaluate", model, *data, "data.source.fields.text=text", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["fields"]: row for row in found["texts"]}
    assert set(rows) == {"text", "title", "title, text"}
    assert rows["text"]["used"]
    assert rows["title, text"]["overrides"] == "'data.source.fields.text=[title,text]'"
    assert "does not see the 'title' of 100% of the items" in found["conclusion"]
    assert main(["evaluate", model, *data]) == 0
    assert "Which text?" in capsys.readouterr().out
    assert main(["data", "describe", *data[:3], "data.source.fields.text=text"]) == 0
    out = capsys.readouterr().out
    assert "text made of" in out
    assert "does not see the 'title' of 100%" in " ".join(out.split())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "found list, expected an object"),
        ('{"items": {"": {"fields": "title"}}}', "items..fields"),
        ('{"items": {"": {"item_text": {"_target_": "os.system", "command": "touch ran"}}}}', "not hft's own"),
    ],
)
def test_a_declaration_from_elsewhere_that_says_another_thing_is_refused(
    place: Path, tiny_bert: Path, items_file: str, content: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hft.load(tiny_bert).save(place / "model")
    (place / "model" / "hft_texts.json").write_text(content)
    assert main(["embed", "model", items_file]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err
    assert not (place / "ran").exists()
