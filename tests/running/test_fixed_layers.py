"""What fixed layers give is computed once: a run that reads it equals one that does not, to the last bit in float32."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

import hft
from hft.errors import TrainingError
from hft.experiments.steps import read_steps, repeatable
from hft.models.compute import ReferenceCompute
from hft.models.compute.bert import BertCompute
from hft.models.packed import PackedTexts
from hft.running import frozen, train_trial
from hft.running.frozen import schedule_of
from hft.running.shared import shared_parts
from hft.running.trial import Trial
from hft.stores import StoreFolder
from hft.training.activations import ActivationStore
from small_training import params_with, small_model
from small_trials import Listener
from tiny_models import build_tiny_bert

Compose = Callable[..., DictConfig]
FP32 = ("trainer.precision=32-true", "settings.num_epochs=2", "stores.activations=true")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Texts of each segment that a run writes."""
    counts: list[int] = []
    publish = frozen.publish

    def watched(tower: Any, texts: Any, *arguments: Any, **options: Any) -> None:
        counts.append(len(texts))
        publish(tower, texts, *arguments, **options)

    monkeypatch.setattr(frozen, "publish", watched)
    return counts


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for every pass that begins with the embeddings, whatever computes it; without the trial of the cut."""
    calls: list[int] = []
    monkeypatch.setattr(frozen, "why_not_kept", lambda *_: "")
    for owner, name in ((BertCompute, "_embeddings"), (ReferenceCompute, "hidden")):
        method = getattr(owner, name)

        def watched(self: Any, *arguments: Any, method: Any = method, **options: Any) -> Any:
            calls.append(1)
            return method(self, *arguments, **options)

        monkeypatch.setattr(owner, name, watched)
    return calls


def result_of(config: DictConfig, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Trains as a new process would: the steps, and the hash of the weights."""
    shared_parts.clear()
    train_trial(config, Listener().trial(), folder=folder)
    steps = [repeatable(row) for row in read_steps(folder / "steps.jsonl")]
    weights = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.safetensors"))]
    assert steps
    assert weights
    return steps, weights


def said_in(folder: Path) -> str:
    return (folder / "output.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "fixed",
    [
        ("params.num_fixed_layers=1",),
        ("params.num_fixed_layers=1", "compute.kernels=reference"),
        ("params.num_fixed_layers=1", "model.shared=false", "model.dense_dim=16"),
        ("params.num_fixed_layers=2", "model.dense_dim=16"),
        ("params.num_fixed_layers=1", "compute.token_budget=64", "compute.graph_tokens=64"),
    ],
    ids=["one layer", "as transformers has them", "two towers", "all layers", "chunks computed twice"],
)
def test_a_float32_run_is_the_same_without_with_empty_and_with_full_stores(
    compose: Compose, tmp_path: Path, published: list[int], fixed: tuple[str, ...]
) -> None:
    request = (*FP32, *fixed, "threads=2")
    without = result_of(compose(*request, "stores=none", "stores.activations=false"), tmp_path / "none")
    assert published == []
    cold = result_of(compose(*request), tmp_path / "cold")
    assert sum(published) > 60
    published.clear()
    warm = result_of(compose(*request), tmp_path / "warm")
    assert published == []
    assert without == cold == warm


@pytest.mark.parametrize("threads", [1, 2])
def test_at_the_widths_of_minilm_a_float32_run_is_the_same_without_with_empty_and_with_full_stores(
    compose: Compose, tmp_path: Path, published: list[int], threads: int
) -> None:
    model = build_tiny_bert(tmp_path / "wide", hidden=384, heads=12, intermediate=1536)
    request = (*FP32, f"model.source={model}", "params.num_fixed_layers=1", f"threads={threads}")
    without = result_of(compose(*request, "stores=none", "stores.activations=false"), tmp_path / "none")
    cold = result_of(compose(*request), tmp_path / "cold")
    assert published
    assert without == cold == result_of(compose(*request), tmp_path / "warm")


def test_bf16_differs_by_rounding_only(compose: Compose, tmp_path: Path, published: list[int]) -> None:
    request = (*FP32[1:], "trainer.precision=bf16-mixed", "params.num_fixed_layers=1")
    without, _ = result_of(compose(*request, "stores=none", "stores.activations=false"), tmp_path / "none")
    cold = result_of(compose(*request), tmp_path / "cold")
    assert published
    for name in ("train_loss", "validation_loss"):
        ours, theirs = ([row[name] for row in rows if name in row] for rows in (cold[0], without))
        assert ours == pytest.approx(theirs, rel=0.02)
    assert cold == result_of(compose(*request), tmp_path / "warm")


def test_with_everything_fixed_a_warm_run_computes_no_layer(
    compose: Compose, tmp_path: Path, started: list[int]
) -> None:
    request = (*FP32, "params.num_fixed_layers=2", "model.dense_dim=16")
    result_of(compose(*request), tmp_path / "cold")
    assert started
    started.clear()
    result_of(compose(*request), tmp_path / "warm")
    assert started == []


def test_more_fixed_layers_begin_where_fewer_end(
    compose: Compose, tmp_path: Path, published: list[int], started: list[int]
) -> None:
    model = build_tiny_bert(tmp_path / "four", layers=4)
    request = (*FP32, f"model.source={model}")
    alone = result_of(compose(*request, "params.num_fixed_layers=3", "stores=none"), tmp_path / "none")
    result_of(compose(*request, "params.num_fixed_layers=2"), tmp_path / "2")
    published.clear()
    started.clear()
    deeper = result_of(compose(*request, "params.num_fixed_layers=3"), tmp_path / "3")
    assert published
    assert started == []
    assert deeper == alone


def test_where_more_layers_have_no_room_fewer_are_read(
    compose: Compose, tmp_path: Path, published: list[int], started: list[int]
) -> None:
    model = build_tiny_bert(tmp_path / "four", layers=4)
    request = (*FP32, f"model.source={model}")
    alone = result_of(compose(*request, "params.num_fixed_layers=3", "stores=none"), tmp_path / "none")
    result_of(compose(*request, "params.num_fixed_layers=2"), tmp_path / "2")
    published.clear()
    started.clear()
    deeper = result_of(compose(*request, "params.num_fixed_layers=3", "stores.disk_budget=0.0001"), tmp_path / "3")
    assert (published, started) == ([], [])
    assert deeper == alone


def test_other_weights_share_nothing(compose: Compose, tmp_path: Path, published: list[int]) -> None:
    request = (*FP32, "params.num_fixed_layers=1")
    result_of(compose(*request), tmp_path / "first")
    texts = sum(published)
    other = build_tiny_bert(tmp_path / "other", seed=1)
    result_of(compose(*request, f"model.source={other}"), tmp_path / "second")
    assert sum(published) == 2 * texts


def test_another_dropout_or_rate_shares_all(compose: Compose, tmp_path: Path, published: list[int]) -> None:
    request = (*FP32, "params.num_fixed_layers=1")
    result_of(compose(*request), tmp_path / "first")
    published.clear()
    result_of(compose(*request, "model.dropout=0.5", "params.items_lr=1e-4"), tmp_path / "second")
    assert published == []


def test_a_segment_that_was_cut_is_made_again(compose: Compose, tmp_path: Path, published: list[int]) -> None:
    request = (*FP32, "params.num_fixed_layers=1")
    first = result_of(compose(*request), tmp_path / "first")
    largest = max((tmp_path / "outputs" / "stores" / "activations").rglob("*.layers"), key=lambda p: p.stat().st_size)
    with largest.open("r+b") as file:
        file.truncate(largest.stat().st_size // 2)
    published.clear()
    assert result_of(compose(*request), tmp_path / "second") == first
    assert len(published) == 1
    assert "made again" in said_in(tmp_path / "second")


def test_what_another_process_keeps_while_this_one_waits_is_not_computed_again(
    compose: Compose, tmp_path: Path, published: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = (*FP32, "params.num_fixed_layers=1")
    first = result_of(compose(*request), tmp_path / "first")
    published.clear()

    def waited(folder: StoreFolder, key: str, texts: str) -> AbstractContextManager[None]:
        theirs = tmp_path / "outputs" / "stores" / "activations"
        shutil.copytree(theirs, folder.root / "activations", dirs_exist_ok=True)
        return nullcontext()

    monkeypatch.setattr(ActivationStore, "computing", staticmethod(waited))
    assert result_of(compose(*request, f"stores.folder={tmp_path}/own"), tmp_path / "second") == first
    assert published == []


def test_a_budget_too_small_is_told_and_the_run_goes_on(compose: Compose, tmp_path: Path, published: list[int]) -> None:
    request = (*FP32, "params.num_fixed_layers=1")
    without = result_of(compose(*request, "stores=none"), tmp_path / "none")
    small = result_of(compose(*request, "stores.disk_budget=0.0001"), tmp_path / "small")
    assert small == without
    assert published == []
    assert "stores.disk_budget" in said_in(tmp_path / "small")


def test_nothing_is_kept_where_nothing_is_fixed(compose: Compose, tmp_path: Path, published: list[int]) -> None:
    result_of(compose(*FP32), tmp_path / "run")
    assert published == []
    assert "fixed" not in said_in(tmp_path / "run")


def test_where_memory_is_short_the_store_is_filled_in_smaller_parts(
    compose: Compose, tmp_path: Path, published: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = (*FP32, "params.num_fixed_layers=1", "compute.token_budget=1024", "model.dropout=0.0")
    plenty, _ = result_of(compose(*request), tmp_path / "plenty")
    up_to, largest = BertCompute.up_to, []

    def short(self: BertCompute, ids: Any, mask: Any, cut: int) -> Any:
        largest.append(ids.numel())
        if ids.numel() > 600:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return up_to(self, ids, mask, cut)

    monkeypatch.setattr(BertCompute, "up_to", short)
    found, _ = result_of(compose(*request, f"stores.folder={tmp_path}/others"), tmp_path / "short")
    # The rest of the run has the smaller budget too: sums of gradients are rounded elsewhere.
    for name in ("train_loss", "validation_loss"):
        ours, theirs = ([row[name] for row in rows if name in row] for rows in (found, plenty))
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert max(largest) > 600
    assert "out of memory" in said_in(tmp_path / "short")


def test_layers_that_a_callback_unfreezes_are_refused(tiny_bert: Path) -> None:
    model = small_model(tiny_bert, params_with(num_fixed_layers=1))
    tower = model.items_tower
    tower.activations = SimpleNamespace(cut=1, pooled=lambda *_: None, hidden=lambda *_: None)
    tokens = PackedTexts.of(tower.tokenize(["a text"]))
    tower.embed(tokens)
    tower.encoder.requires_grad_(True)
    with pytest.raises(TrainingError, match=r"stores\.activations=false"):
        tower.embed(tokens)


@pytest.mark.parametrize(("limits", "epochs"), [((), 10.0), (("trainer.max_steps=3",), 0.75)])
def test_a_training_that_ends_by_steps_is_planned_so(compose: Compose, limits: tuple[str, ...], epochs: float) -> None:
    config = compose("settings.num_epochs=10", "settings.batch_size=4", *limits)
    texts = SimpleNamespace(data=SimpleNamespace(train=range(16)))
    assert schedule_of(config, texts, None).epochs == epochs


def test_a_search_trial_leaves_the_test_split_alone(compose: Compose, tmp_path: Path, published: list[int]) -> None:
    request = (*FP32, "params.num_fixed_layers=1")
    result_of(compose(*request), tmp_path / "search")
    without_test = sum(published)
    shared_parts.clear()
    hft.train(compose(*request), folder=tmp_path / "run")
    assert sum(published) > without_test


def test_a_complete_run_reports_the_same(compose: Compose, tmp_path: Path) -> None:
    request = (*FP32, "params.num_fixed_layers=1")
    without = hft.train(compose(*request, "stores=none"), folder=tmp_path / "none")
    cold = hft.train(compose(*request), folder=tmp_path / "cold")
    warm = hft.train(compose(*request), folder=tmp_path / "warm")
    tables = [{**report.to_dict(), "seconds": None} for report in (without, cold, warm)]
    assert tables[0] == tables[1] == tables[2]


def test_trials_that_share_the_starting_vectors_equal_trials_alone(compose: Compose, tmp_path: Path) -> None:
    requests = [(*FP32, f"params.num_fixed_layers={layers}", "threads=2") for layers in (0, 1)]
    alone = [result_of(compose(*request), tmp_path / f"alone_{n}")[0] for n, request in enumerate(requests)]
    shared_parts.clear()
    for number, request in enumerate(requests):
        folder = tmp_path / f"shared_{number}"
        train_trial(compose(*request), Trial(number, "sweeps/small", report=Listener()), folder=folder)
        assert [repeatable(row) for row in read_steps(folder / "steps.jsonl")] == alone[number]
