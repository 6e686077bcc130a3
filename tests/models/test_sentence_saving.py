"""A saved model is read by the real sentence-transformers and by hft itself, and gives the same vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hft.errors import StorageError
from hft.models import TextEmbeddingModel, load_saved_model, load_text_model
from tolerances import rounding

QUERIES = ["path of a file", "which films were shown", "", "a list of numbers " * 20]
ITEMS = ["Returns the absolute path of a file.", "A message, and its answer", "x", "server waits " * 30]
# Two layers of six products and two behind them, over 64 numbers at most; vectors without a norm have 3 in a place.
SAME = 3 * rounding(terms=64, sums=14)
ONE_TOWER: dict[str, dict[str, Any]] = {
    "mean": {},
    "cls": {"pooling": "cls"},
    "pooler": {"pooling": "pooler"},
    "not normalised": {"normalize": False},
    "dense": {"dense_dim": 7},
    "pooler and dense": {"pooling": "pooler", "dense_dim": 7},
    "prompts": {"query_prompt": "which films: ", "item_prompt": "message "},
    "short": {"max_length": 12},
}
TWO_TOWERS: dict[str, dict[str, Any]] = {
    "two towers": {"shared": False},
    "two towers, dense, prompts": {
        "shared": False,
        "dense_dim": 7,
        "query_prompt": "which films: ",
        "item_prompt": "message ",
        "pooling": "cls",
    },
}


def _tuned(source: Path, arguments: dict[str, Any]) -> TextEmbeddingModel:
    """A model whose weights have moved, the towers apart."""
    torch.manual_seed(3)
    model = load_text_model(str(source), **arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def _sentence_transformer(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize("arguments", [*ONE_TOWER.values(), *TWO_TOWERS.values()], ids=[*ONE_TOWER, *TWO_TOWERS])
def test_sentence_transformers_gives_the_same_vectors(
    tiny_bert: Path, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    model = _tuned(tiny_bert, arguments)
    model.save(tmp_path / "model")
    theirs = _sentence_transformer(tmp_path / "model")
    np.testing.assert_allclose(theirs.encode_query(QUERIES), model.encode(QUERIES, "query"), rtol=0, atol=SAME)
    np.testing.assert_allclose(theirs.encode_document(ITEMS), model.encode(ITEMS, "items"), rtol=0, atol=SAME)


def test_prompts_are_found_by_their_names_and_are_not_added_unasked(tiny_bert: Path, tmp_path: Path) -> None:
    model = _tuned(tiny_bert, ONE_TOWER["prompts"])
    model.save(tmp_path / "model")
    theirs = _sentence_transformer(tmp_path / "model")
    ours, plain = model.encode(QUERIES, "query"), _tuned(tiny_bert, {}).encode(QUERIES, "query")
    np.testing.assert_allclose(theirs.encode(QUERIES, prompt_name="query"), ours, rtol=0, atol=SAME)
    np.testing.assert_allclose(theirs.encode(QUERIES), plain, rtol=0, atol=SAME)


def test_two_towers_are_a_router_whose_default_route_is_the_items(tiny_bert: Path, tmp_path: Path) -> None:
    model = _tuned(tiny_bert, {"shared": False})
    model.save(tmp_path / "model")
    theirs = _sentence_transformer(tmp_path / "model")
    assert type(theirs[0]).__name__ == "Router"
    np.testing.assert_allclose(theirs.encode(ITEMS), model.encode(ITEMS, "items"), rtol=0, atol=SAME)


@pytest.mark.parametrize("arguments", [*ONE_TOWER.values(), *TWO_TOWERS.values()], ids=[*ONE_TOWER, *TWO_TOWERS])
def test_hft_reads_back_the_same_weights_to_the_last_bit(
    tiny_bert: Path, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    model = _tuned(tiny_bert, arguments)
    model.save(tmp_path / "model")
    again = load_saved_model(tmp_path / "model")
    assert again.shared is model.shared
    for side, texts in (("query", QUERIES), ("items", ITEMS)):
        np.testing.assert_allclose(again.encode(texts, side), model.encode(texts, side), rtol=0, atol=SAME)
    mine, theirs = model.state_dict(), again.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    again.save(tmp_path / "twice")
    assert load_saved_model(tmp_path / "twice").fingerprint == again.fingerprint


@pytest.mark.parametrize("mode", ["mean", "cls"])
@pytest.mark.parametrize("activation", ["Tanh", "Identity"])
def test_a_folder_saved_by_sentence_transformers_itself_is_read(
    tiny_bert: Path, tmp_path: Path, mode: str, activation: str
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    dense = Dense(32, 9, activation_function=getattr(torch.nn, activation)())
    modules = [Transformer(str(tiny_bert)), Pooling(32, mode), dense, Normalize()]
    theirs = SentenceTransformer(modules=modules, device="cpu", prompts={"query": "file ", "document": "list "})
    theirs.save(str(tmp_path / "theirs"))
    model = load_saved_model(tmp_path / "theirs")
    np.testing.assert_allclose(model.encode(QUERIES, "query"), theirs.encode_query(QUERIES), rtol=0, atol=SAME)
    np.testing.assert_allclose(model.encode(ITEMS, "items"), theirs.encode_document(ITEMS), rtol=0, atol=SAME)


def test_a_router_saved_by_sentence_transformers_itself_is_read(tiny_bert: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Router
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    def side() -> list[torch.nn.Module]:
        return [Transformer(str(tiny_bert)), Pooling(32), Dense(32, 9)]

    router = Router.for_query_document(query_modules=side(), document_modules=side())
    theirs = SentenceTransformer(modules=[router, Normalize()], device="cpu")
    theirs.save(str(tmp_path / "theirs"))
    model = load_saved_model(tmp_path / "theirs")
    assert not model.shared
    np.testing.assert_allclose(model.encode(QUERIES, "query"), theirs.encode_query(QUERIES), rtol=0, atol=SAME)
    np.testing.assert_allclose(model.encode(ITEMS, "items"), theirs.encode_document(ITEMS), rtol=0, atol=SAME)


def test_an_encoder_without_a_pooler_is_saved_and_read(tmp_path: Path) -> None:
    from tiny_models import build_tiny_bert

    model = load_text_model(str(build_tiny_bert(tmp_path / "bare", pooler=False)))
    assert not any("pooler" in name for name in model.state_dict())
    model.save(tmp_path / "model")
    theirs = _sentence_transformer(tmp_path / "model")
    np.testing.assert_allclose(theirs.encode(ITEMS), model.encode(ITEMS, "items"), rtol=0, atol=SAME)


def test_saving_over_a_saved_model_replaces_it_whole(tiny_bert: Path, tmp_path: Path) -> None:
    _tuned(tiny_bert, {"dense_dim": 7}).save(tmp_path / "model")
    _tuned(tiny_bert, {}).save(tmp_path / "model")
    assert not (tmp_path / "model" / "2_Dense").exists()
    assert load_saved_model(tmp_path / "model").dim == 32
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_saving_over_something_else_is_refused_and_spares_it(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="not a saved model"):
        load_text_model(str(tiny_bert)).save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_disk_that_fills_up_leaves_no_half_written_model(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    model = load_text_model(str(tiny_bert))
    monkeypatch.setattr(model.items_tower.tokenizer, "save_pretrained", full)
    with pytest.raises(StorageError, match=r"model: cannot be written: No space left"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_saved_config_names_the_prompts_and_no_default(tiny_bert: Path, tmp_path: Path) -> None:
    _tuned(tiny_bert, ONE_TOWER["prompts"]).save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config_sentence_transformers.json").read_text())
    assert config["prompts"] == {"query": "which films: ", "document": "message "}
    assert config["default_prompt_name"] is None
