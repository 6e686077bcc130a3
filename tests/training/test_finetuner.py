"""The module itself: which weights get which rate, where dropout acts, and what a step refuses."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from hft.errors import ConfigError, TrainingError
from hft.losses import InfoNCELoss
from hft.models.packed import PackedTexts
from hft.training import EmbeddingsFineTuner
from hft.training.batching import PairTensors
from hft.training.finetuner import parameter_groups, set_training_mode
from small_training import (
    SmallRun,
    Training,
    build_small,
    fit_small,
    make_sgd,
    params_with,
    same,
    small_data,
    small_model,
    train_small,
)


class Spy(pl.Callback):
    """Notes what the module is like when a step begins."""

    def __init__(self, look: Any) -> None:
        self.look = look
        self.seen: list[Any] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append(self.look(pl_module))


class Broken(InfoNCELoss):
    """Not a number from the second call on that has a gradient."""

    calls = 0

    def forward(self, features: Any) -> torch.Tensor:
        if torch.is_grad_enabled():
            self.calls += 1
        return super().forward(features) * (math.nan if self.calls > 1 else 1.0)


def test_two_towers_are_two_groups_with_rates_and_decays_of_their_own(tiny_bert: Path) -> None:
    params = params_with(query_lr=0.1, items_lr=0.2, query_weight_decay=0.3, items_weight_decay=0.4)
    model = small_model(tiny_bert, params, shared=False)
    query, items = parameter_groups(model, params)
    assert (query["name"], query["lr"], query["weight_decay"]) == ("query", 0.1, 0.3)
    assert (items["name"], items["lr"], items["weight_decay"]) == ("items", 0.2, 0.4)
    for group, tower in ((query, model.query_tower), (items, model.items_tower)):
        expected = {id(value) for value in tower.parameters() if value.requires_grad}
        assert {id(value) for value in group["params"]} == expected


def test_a_shared_tower_is_one_group_with_the_items_rate_and_decay(tiny_bert: Path) -> None:
    params = params_with(query_lr=0.1, items_lr=0.2, query_weight_decay=0.3, items_weight_decay=0.4)
    (group,) = parameter_groups(small_model(tiny_bert, params), params)
    assert (group["name"], group["lr"], group["weight_decay"]) == ("items", 0.2, 0.4)


def test_fixed_weights_are_in_no_group_and_nothing_to_train_is_refused(tiny_bert: Path) -> None:
    params = params_with(num_fixed_layers=1)
    model = small_model(tiny_bert, params)
    (group,) = parameter_groups(model, params)
    assert all(value.requires_grad for value in group["params"])
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match=r"Nothing is left to train: params.num_fixed_layers"):
        parameter_groups(model, params)


def test_dropout_acts_where_weights_move_and_nowhere_else(tiny_bert: Path) -> None:
    model = small_model(tiny_bert, params_with(num_fixed_layers=1), dropout=0.5)
    set_training_mode(model)
    encoder = model.items_tower.encoder
    first, second = model.layers(model.items_tower)
    assert not any(module.training for part in (encoder.embeddings, first) for module in part.modules())
    assert all(module.training for module in second.modules())


@pytest.mark.parametrize(("dropout", "equal"), [(0.0, True), (0.5, False)])
def test_two_passes_in_training_mode_are_equal_only_without_dropout(
    tiny_bert: Path, dropout: float, equal: bool
) -> None:
    model = small_model(tiny_bert, dropout=dropout)
    set_training_mode(model)
    tokens = PackedTexts.of(model.tokenize(["the last film"], "items"))
    assert torch.equal(model.embed(tokens, "items"), model.embed(tokens, "items")) is equal


def test_dropout_is_on_in_every_step_also_after_a_validation(tiny_bert: Path, tmp_path: Path) -> None:
    spy = Spy(lambda module: [part.training for part in module.model.layers(module.model.items_tower)])
    module = build_small(tiny_bert, params={"num_fixed_layers": 1}, settings={"test_each_n_inputs": 5, "num_epochs": 2})
    fit_small(module, tmp_path, callbacks=[spy])
    assert spy.seen == [[False, True]] * 8


def test_clipping_bounds_the_step(tiny_bert: Path, tmp_path: Path) -> None:
    def step_length(clip: float | None) -> float:
        """Plain SGD at rate 1: the step is the gradient."""
        module = build_small(tiny_bert, optimizer=make_sgd, params={"items_lr": 1.0, "items_weight_decay": 0.0})
        made = fit_small(module, tmp_path, trainer={"gradient_clip_val": clip, "max_steps": 1})
        return math.sqrt(sum(float((made.last[name] - value).square().sum()) for name, value in made.start.items()))

    assert step_length(None) > 0.05
    assert step_length(0.01) == pytest.approx(0.01, rel=1e-2)


def test_a_loss_that_is_not_a_number_ends_the_training(tiny_bert: Path, tmp_path: Path) -> None:
    run = SmallRun(tmp_path)
    with pytest.raises(TrainingError, match=r"loss became nan at step 1\. Lower params\.items_lr"):
        fit_small(build_small(tiny_bert, settings={"loss_func": Broken()}), tmp_path, run=run)
    assert [row["step"] for row in run.rows if "train_loss" in row] == [1]


def test_a_training_without_a_usable_session_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    module = build_small(tiny_bert, data=small_data(irrelevant=1))
    with pytest.raises(TrainingError, match="No training session gives a pair"):
        fit_small(module, tmp_path)


def test_an_epoch_whose_pairs_are_all_left_out_ends_the_training(tiny_bert: Path, tmp_path: Path) -> None:
    run = SmallRun(tmp_path)
    module = build_small(tiny_bert, params={"min_abs_difference_threshold": 1.9})
    with pytest.raises(TrainingError, match=r"No pair was left to train on in epoch 0.*min_abs_difference_threshold"):
        fit_small(module, tmp_path, run=run)
    steps = [row for row in run.rows if "train_pairs" in row]
    assert [row["train_pairs"] for row in steps] == [0.0] * 4
    assert all("items_lr" in row and "train_loss" not in row for row in steps)


class Without(EmbeddingsFineTuner):
    """Takes the pairs out of some batches."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if batch_idx in self.empty:  # type: ignore[operator]
            tensors = {name: value for name, value in vars(batch.pairs).items() if isinstance(value, torch.Tensor)}
            nothing = {name: value[:0] for name, value in tensors.items()}
            batch = dataclasses.replace(batch, pairs=PairTensors(**nothing, num_positives=0))
        return super().training_step(batch, batch_idx)


def without_pairs(tiny_bert: Path, tmp_path: Path, empty: set[int], accumulate: int = 1) -> Training:
    module = build_small(tiny_bert, params={"items_weight_decay": 0.5})
    module.__class__ = Without
    module.empty = empty  # type: ignore[assignment]
    return fit_small(module, tmp_path, trainer={"accumulate_grad_batches": accumulate})


def test_a_batch_without_a_pair_moves_and_decays_nothing(tiny_bert: Path, tmp_path: Path) -> None:
    made = without_pairs(tiny_bert, tmp_path, {1, 2})
    assert made.series("train_pairs")[1:3] == [0.0, 0.0]
    assert len(made.series("train_loss")) == 2
    assert same(made.after[1], made.after[2])
    assert same(made.after[2], made.after[3])
    assert not same(made.after[3], made.after[4])


@pytest.mark.parametrize("empty", [0, 1])
def test_a_batch_without_a_pair_adds_nothing_to_the_batches_it_is_accumulated_with(
    tiny_bert: Path, tmp_path: Path, empty: int
) -> None:
    made = without_pairs(tiny_bert, tmp_path, {empty, 2, 3}, accumulate=2)
    assert not same(made.start, made.after[1])
    assert same(made.after[1], made.after[2])


def test_an_unmeasured_main_metric_is_refused_with_what_is_measured(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"main_metric=ndcg@11 .* Measured: .*ndcg@10"):
        fit_small(build_small(tiny_bert), tmp_path, main_metric="ndcg@11")


def test_ctrl_c_ends_the_training_as_an_interruption(tiny_bert: Path, tmp_path: Path) -> None:
    import signal

    class Stop(pl.Callback):
        def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit_small(build_small(tiny_bert), tmp_path, callbacks=[Stop()])
    assert signal.getsignal(signal.SIGINT) == handler


def test_a_last_batch_of_one_session_has_no_negative_in_the_batch_and_is_no_error(
    tiny_bert: Path, tmp_path: Path
) -> None:
    made = train_small(tiny_bert, tmp_path, settings={"batch_size": 19, "negatives": "in_batch"})
    assert made.series("train_pairs")[1] == 0
    assert len(made.series("train_loss")) == 1
