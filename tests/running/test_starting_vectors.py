"""The starting model's vectors on disk: a run that reads them equals one that computes them, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import nn

import hft
from hft.experiments.steps import read_steps, repeatable
from hft.models import TextEmbeddingModel, TextTower
from hft.models.pooling import Pooling
from hft.settings import ComputeSettings
from hft.stores import StoreFolder
from hft.training import TokenStore
from hft.training.evaluation import embed_rows
from hft.training.kept_vectors import KIND, KeptVectors, is_told_by_weights, vectors_kept
from small_training import small_model

Compose = Callable[..., DictConfig]
Keys = Any


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts were embedded without gradients, a number a call."""
    counts: list[int] = []
    embed = TextTower.embed

    def watched(tower: TextTower, tokens: Any, *rest: Any, **options: Any) -> torch.Tensor:
        if not torch.is_grad_enabled():
            counts.append(len(tokens))
        return embed(tower, tokens, *rest, **options)

    monkeypatch.setattr(TextTower, "embed", watched)
    return counts


def outcome(config: DictConfig, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The steps of a run, and its report but for what depends on the clock and the place."""
    report = hft.train(config, folder=folder).to_dict()
    steps = [repeatable(row) for row in read_steps(folder / "steps.jsonl")]
    assert steps
    return steps, {name: report[name] for name in report if name not in ("seconds", "curves", "created")}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_that_reads_them_equals_one_that_computes_them(
    compose: Compose, tmp_path: Path, embedded: list[int], precision: str
) -> None:
    asked = [f"trainer.precision={precision}", "tracking=csv"]
    without = outcome(compose(*asked, "stores=none"), tmp_path / "none")
    computed = sum(embedded)
    embedded.clear()
    cold = outcome(compose(*asked, "stores=local"), tmp_path / "cold")
    assert sum(embedded) == computed
    embedded.clear()
    warm = outcome(compose(*asked, "stores=local"), tmp_path / "warm")
    assert without == cold == warm
    assert 0 < sum(embedded) < computed  # the tuned model is measured as ever


def test_the_config_says_whether_they_are_kept(compose: Compose, tmp_path: Path) -> None:
    outcome(compose("tracking=csv", "stores.activations=false"), tmp_path / "run")
    assert not (tmp_path / "outputs" / "stores" / KIND).exists()


def test_a_reading_gives_what_was_written(tiny_bert: Path, tmp_path: Path) -> None:
    kept, keys, vectors = written(tiny_bert, tmp_path)
    again = KeptVectors(kept.folder, small_model(tiny_bert), "32-true", ComputeSettings())
    found = again.read("items", keys)
    assert found is not None
    assert torch.equal(found, vectors)


@pytest.mark.parametrize("change", ["weights", "precision", "threads", "compute", "texts", "order", "pooling"])
def test_whatever_decides_on_them_has_vectors_of_its_own(tiny_bert: Path, tmp_path: Path, change: str) -> None:
    kept, keys, _ = written(tiny_bert, tmp_path)
    model, precision, compute = small_model(tiny_bert), "32-true", ComputeSettings()
    threads = torch.get_num_threads()
    if change == "weights":
        with torch.no_grad():
            next(iter(model.parameters())).view(-1)[0] += 1.0
    elif change == "precision":
        precision = "bf16-mixed"
    elif change == "compute":
        compute = ComputeSettings(kernels="reference")
    elif change == "texts":
        keys = keys[:-1]
    elif change == "order":
        keys = keys[::-1]
    elif change == "pooling":
        model.items_tower.pooling = Pooling(("cls",))
    try:
        torch.set_num_threads(threads + 1 if change == "threads" else threads)
        assert KeptVectors(kept.folder, model, precision, compute).read("items", keys) is None
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("left", [0, 10, 200])
def test_a_file_that_was_cut_is_dropped_with_a_line(tiny_bert: Path, tmp_path: Path, left: int) -> None:
    said: list[str] = []
    kept, keys, vectors = written(tiny_bert, tmp_path, said)
    (file,) = (tmp_path / KIND).rglob("*.npy")
    file.write_bytes(file.read_bytes()[:left])
    assert kept.read("items", keys) is None
    assert len(said) == 1
    kept.write("items", keys, vectors)
    found = kept.read("items", keys)
    assert found is not None
    assert torch.equal(found, vectors)


def test_without_room_nothing_is_kept(tiny_bert: Path, tmp_path: Path) -> None:
    model = small_model(tiny_bert)
    kept = KeptVectors(StoreFolder(tmp_path, 64), model, "32-true", ComputeSettings())
    keys = torch.arange(20).view(-1, 2).numpy().astype("uint64")
    kept.write("items", keys, torch.zeros(10, model.dim))
    assert kept.read("items", keys) is None


def test_what_another_process_computes_while_this_one_waits_is_read(
    tiny_bert: Path, tmp_path: Path, embedded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(tiny_bert)
    store = TokenStore.build(["one text", "another", "a third"], model.items_tower.tokenize)
    theirs = torch.randn(len(store), model.dim)

    def waited(kept: KeptVectors, side: Any, texts: Keys) -> AbstractContextManager[None]:
        kept.write(side, texts, theirs)
        return nullcontext()

    monkeypatch.setattr(KeptVectors, "computing", waited)
    progress: list[int] = []
    kept = KeptVectors(StoreFolder(tmp_path, None), model, "32-true", ComputeSettings())
    with torch.no_grad(), vectors_kept(kept):
        found = embed_rows(model, store, np.arange(3), "items", progress.append)
    assert torch.equal(found.vectors, theirs)
    assert (embedded, progress) == ([], [3])


class Own(nn.Module):
    """A module of somebody's own, which may compute from anything."""


def test_a_model_with_modules_or_hooks_of_ones_own_is_not_told_by_its_weights(tiny_bert: Path) -> None:
    models: list[TextEmbeddingModel] = [small_model(tiny_bert) for _ in range(3)]
    models[1].items_tower.encoder.add_module("own", Own())
    models[2].items_tower.encoder.register_forward_hook(lambda module, given, made: made)
    assert [is_told_by_weights(model) for model in models] == [True, False, False]


def test_a_dense_layer_of_another_activation_has_vectors_of_its_own(tiny_bert: Path, tmp_path: Path) -> None:
    model = small_model(tiny_bert, dense_dim=16)
    keys = torch.arange(20).view(-1, 2).numpy().astype("uint64")
    kept = KeptVectors(StoreFolder(tmp_path, None), model, "32-true", ComputeSettings())
    kept.write("items", keys, torch.randn(10, model.dim))
    assert KeptVectors(kept.folder, model, "32-true", ComputeSettings()).read("items", keys) is not None
    model.items_tower.projections[0].activation = nn.Tanh()
    assert KeptVectors(kept.folder, model, "32-true", ComputeSettings()).read("items", keys) is None


def written(tiny_bert: Path, root: Path, said: list[str] | None = None) -> tuple[KeptVectors, Keys, torch.Tensor]:
    """Ten vectors of a small model, written to a store."""
    model = small_model(tiny_bert)
    say = None if said is None else said.append
    kept = KeptVectors(StoreFolder(root, None, say), model, "32-true", ComputeSettings())
    keys = torch.arange(20).view(-1, 2).numpy().astype("uint64")
    vectors = torch.randn(10, model.dim)
    kept.write("items", keys, vectors)
    return kept, keys, vectors
