"""A step of any size in bounded memory, with the gradients of a step that has all memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from hft.errors import TrainingError
from hft.losses import InfoNCELoss, ProbMarginRankingLoss
from hft.models.compute import ReferenceCompute, choose_compute
from hft.settings import ComputeSettings
from hft.training import EmbeddingsFineTuner
from small_training import SmallRun, Training, build_small, fit_small, small_data
from tolerances import rounding

Gradients = dict[str, Tensor]
# Of the texts of these tests, some 24 in a batch, all are 16 tokens or fewer.
ONE_CHUNK = ComputeSettings(token_budget=100_000, graph_tokens=100_000)
SMALL_CHUNKS = ComputeSettings(token_budget=32, graph_tokens=100_000)
FEW_KEPT = ComputeSettings(token_budget=32, graph_tokens=64)
NONE_KEPT = ComputeSettings(token_budget=32, graph_tokens=1)


class TakeGradients(pl.Callback):
    """Keeps the gradients of each optimizer step."""

    def __init__(self) -> None:
        self.steps: list[Gradients] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Any) -> None:
        named = pl_module.named_parameters()
        self.steps.append({name: weight.grad.clone() for name, weight in named if weight.grad is not None})


def gradients_of(
    module: EmbeddingsFineTuner, folder: Path, compute: ComputeSettings, *, steps: int = 1, accumulate: int = 1
) -> list[Gradients]:
    module.model.compute_with(compute)
    taken = TakeGradients()
    trainer = {"max_steps": steps, "accumulate_grad_batches": accumulate}
    fit_small(module, folder, callbacks=[taken], trainer=trainer)
    return taken.steps


def assert_same_gradient(found: Gradients, expected: Gradients, tolerance: float = 1e-6) -> None:
    """The whole gradient to 1e-6 of its length."""
    assert found.keys() == expected.keys()
    difference = torch.cat([(found[name] - value).flatten() for name, value in expected.items()])
    length = torch.cat([value.flatten() for value in expected.values()]).norm()
    assert length > 0
    assert difference.norm() <= tolerance * length


@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize("compute", [SMALL_CHUNKS, FEW_KEPT, NONE_KEPT])
@pytest.mark.parametrize(
    ("loss", "negatives"),
    [
        (InfoNCELoss(), "in_batch"),
        (InfoNCELoss(), "both"),
        (InfoNCELoss(), "shown"),
        (ProbMarginRankingLoss(), "in_batch"),
    ],
)
def test_the_gradient_is_that_of_one_chunk_kept_whole(
    tiny_bert: Path, tmp_path: Path, loss: Any, negatives: str, compute: ComputeSettings, kernels: Any
) -> None:
    def gradient(settings: ComputeSettings) -> Gradients:
        module = build_small(tiny_bert, settings={"loss_func": loss, "negatives": negatives, "batch_size": 10})
        return gradients_of(module, tmp_path, settings.model_copy(update={"kernels": kernels}))[0]

    assert_same_gradient(gradient(compute), gradient(ONE_CHUNK))


@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize("shared", [True, False])
def test_what_is_computed_again_drops_the_same_elements(
    tiny_bert: Path, tmp_path: Path, kernels: Any, shared: bool
) -> None:
    def gradient(settings: ComputeSettings, seed: int = 0) -> list[Gradients]:
        module = build_small(tiny_bert, model={"dropout": 0.3, "shared": shared}, seed=seed)
        return gradients_of(module, tmp_path, settings.model_copy(update={"kernels": kernels}), steps=3)

    kept, again, other = gradient(SMALL_CHUNKS), gradient(NONE_KEPT), gradient(SMALL_CHUNKS, seed=1)
    for step in range(3):
        assert all(torch.equal(kept[step][name], again[step][name]) for name in kept[step])
    assert any(not torch.equal(kept[0][name], other[0][name]) for name in kept[0])


@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize("compute", [SMALL_CHUNKS, NONE_KEPT])
def test_layers_computed_again_give_the_same_gradient(
    tiny_bert: Path, tmp_path: Path, kernels: Any, compute: ComputeSettings
) -> None:
    def gradient(gradient_checkpointing: bool) -> Gradients:
        module = build_small(tiny_bert, model={"dropout": 0.3}, params={"num_fixed_layers": 1})
        changes = {"kernels": kernels, "gradient_checkpointing": gradient_checkpointing}
        return gradients_of(module, tmp_path, compute.model_copy(update=changes))[0]

    with_layers, without = gradient(True), gradient(False)
    assert all(torch.equal(with_layers[name], without[name]) for name in without)


@contextmanager
def counting_saved_bytes() -> Iterator[list[int]]:
    """Bytes of the tensors that autograd keeps inside the block; weights count once."""
    kept: list[Tensor] = []
    total = [0]

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total
    total[0] = sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in kept}.values())


def kept_bytes(tiny_bert: Path, sessions: int, compute: ComputeSettings) -> int:
    """Bytes kept by the forward pass of one step; without the vectors and the pairs over them."""
    sizes = {"train": sessions, "validation": 8, "test": 8}
    module = build_small(tiny_bert, settings={"batch_size": sessions}, data=small_data(sizes=sizes))
    module.model.compute_with(compute)
    (batch,) = module.train_dataloader()
    module.on_train_start()
    with counting_saved_bytes() as saved:
        module.model.embed_step(batch.queries, batch.items)
    return saved[0]


@pytest.mark.parametrize("kernels", ["fast", "reference"])
def test_memory_does_not_grow_with_the_batch_where_graph_tokens_are_fixed(tiny_bert: Path, kernels: Any) -> None:
    bounded, whole = (compute.model_copy(update={"kernels": kernels}) for compute in (FEW_KEPT, SMALL_CHUNKS))
    few, many = (kept_bytes(tiny_bert, sessions, bounded) for sessions in (10, 40))
    assert kept_bytes(tiny_bert, 40, whole) > 2 * kept_bytes(tiny_bert, 10, whole)
    # What grows is a vector a text, and its place.
    assert many - few < 80 * 4 * (32 * 8)
    assert many < 0.35 * kept_bytes(tiny_bert, 40, whole)


def test_gradient_checkpointing_keeps_less(tiny_bert: Path) -> None:
    for kernels in ("fast", "reference"):
        plain = ComputeSettings(token_budget=64, graph_tokens=100_000, kernels=kernels)
        by_layer = plain.model_copy(update={"gradient_checkpointing": True})
        assert kept_bytes(tiny_bert, 10, by_layer) < 0.5 * kept_bytes(tiny_bert, 10, plain)


class FailInBackward(torch.autograd.Function):
    """Passes values on, and is out of memory in the backward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor) -> Tensor:
        return hidden.view_as(hidden)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")


class SmallMemory(ReferenceCompute):
    """A computation that is out of memory where a chunk has more than so many tokens.

    Args:
        encoder: of the tower.
        tokens: that it has memory for.
        where: `forward` or `backward`.
    """

    def __init__(self, encoder: Any, tokens: int, where: str) -> None:
        super().__init__(encoder)
        self.tokens = tokens
        self.where = where
        self.failures = 0

    def hidden(self, ids: Tensor, mask: Tensor, words: Any = None) -> Tensor:
        hidden = super().hidden(ids, mask)
        if ids.numel() <= self.tokens:
            return hidden
        self.failures += 1
        if self.where == "forward" or not torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        failing: Tensor = FailInBackward.apply(hidden)  # type: ignore[no-untyped-call]
        return failing


def trained_with_little(
    tiny_bert: Path, folder: Path, tokens: int, where: str, *, accumulate: int = 1, **model: Any
) -> tuple[list[Gradients], list[str], EmbeddingsFineTuner]:
    # The weights stay where they are, so that the second step's gradients are those of the same weights.
    module = build_small(tiny_bert, model=model, params={"items_lr": 0.0, "items_weight_decay": 0.0})
    said: list[str] = []
    tower = module.model.items_tower
    module.model.compute_with(ComputeSettings(token_budget=1024, graph_tokens=100_000, kernels="reference"))
    module.model.budget.say = said.append
    taken = TakeGradients()
    run = SmallRun(folder)
    assert module.validator is not None
    first: Mapping[str, float] = module.validator(module.model)
    run.first_validation = lambda validator, model: dict(first)  # type: ignore[method-assign]
    tower.compute = SmallMemory(tower.encoder, tokens, where)
    fit_small(
        module, folder, callbacks=[taken], run=run, trainer={"max_steps": 2, "accumulate_grad_batches": accumulate}
    )
    return taken.steps, said, module


@pytest.fixture
def low_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hft.models.budget.LEAST_TOKEN_BUDGET", 16)


@pytest.mark.usefixtures("low_floor")
@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_out_of_memory_halves_the_budget_and_goes_on_with_the_same_gradients(
    tiny_bert: Path, tmp_path: Path, where: str, accumulate: int
) -> None:
    plenty, nothing, _ = trained_with_little(tiny_bert, tmp_path, 100_000, where, accumulate=accumulate)
    little, said, module = trained_with_little(tiny_bert, tmp_path, 100, where, accumulate=accumulate)
    assert nothing == []
    assert said
    assert said[-1] == f"The GPU is out of memory: the token budget is now {module.model.budget.token_budget}."
    assert module.model.budget.token_budget <= 128
    assert len(said) == len(set(said)), "it stays halved"
    assert len(little) == len(plenty) == 2
    for found, expected in zip(little, plenty, strict=True):
        assert_same_gradient(found, expected)


@pytest.mark.usefixtures("low_floor")
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_the_second_try_draws_the_numbers_that_the_first_one_drew(tiny_bert: Path, tmp_path: Path, where: str) -> None:
    found, said, module = trained_with_little(tiny_bert, tmp_path, 100, where, dropout=0.3)
    assert said
    budget = module.model.budget.token_budget
    again = build_small(tiny_bert, model={"dropout": 0.3})
    settings = ComputeSettings(token_budget=budget, graph_tokens=100_000, kernels="reference")
    expected = gradients_of(again, tmp_path, settings, steps=2)
    assert all(torch.equal(found[0][name], expected[0][name]) for name in expected[0])


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_step_that_never_fits_ends_the_training(tiny_bert: Path, tmp_path: Path, where: str) -> None:
    with pytest.raises(TrainingError, match=r"GPU is out of memory even .* settings\.batch_size") as refusal:
        trained_with_little(tiny_bert, tmp_path, 0, where)
    assert isinstance(refusal.value.__cause__, torch.OutOfMemoryError)


@pytest.mark.usefixtures("low_floor")
def test_a_validation_that_does_not_fit_is_computed_with_half_the_budget(tiny_bert: Path) -> None:
    module = build_small(tiny_bert)
    assert module.validator is not None
    expected = module.validator(module.model)
    tower = module.model.items_tower
    tower.compute = SmallMemory(tower.encoder, 100, "forward")
    assert module.validator(module.model) == pytest.approx(expected, abs=20 * rounding(terms=64, sums=14))
    assert module.model.budget.token_budget < 128
    assert module.model.budget.graph_tokens is None, "nothing was kept for a backward pass"
    assert tower.compute.failures > 0


def test_a_copy_of_a_model_has_a_budget_of_its_own_that_its_towers_share(tiny_bert: Path) -> None:
    import copy

    model = build_small(tiny_bert, model={"shared": False}).model
    model.compute_with(FEW_KEPT)
    twin = copy.deepcopy(model)
    twin.compute_with(NONE_KEPT)
    assert (model.budget.graph_tokens, twin.budget.graph_tokens) == (64, 1)
    assert all(tower.budget is twin.budget for tower in twin.towers)
    encoder: Any = twin.items_tower.encoder
    assert type(twin.items_tower.compute) is type(choose_compute(encoder))
    assert twin.items_tower.compute.encoder is encoder  # type: ignore[attr-defined]


def test_padding_of_a_step_is_written_down(tiny_bert: Path, tmp_path: Path) -> None:
    module = build_small(tiny_bert)
    batches = list(module.train_dataloader())
    made: Training = fit_small(module, tmp_path)
    buckets = module.model.items_tower.buckets
    for batch, found in zip(batches, made.series("train_padding"), strict=True):
        lengths = [len(text) for side in (batch.queries, batch.items) for text in side]
        padded = sum(next(edge for edge in buckets.padded_lengths if edge >= length) for length in lengths)
        assert found == pytest.approx(1 - sum(lengths) / padded)
