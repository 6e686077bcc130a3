"""A training that was interrupted goes on from its checkpoint and ends bit by bit as if it had not been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from hft.running.fitting import CHECKPOINTS_NAME
from hft.training import linear_warmup
from small_training import SmallRun, Training, build_small, fit_small, same

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")

BUILD: dict[str, Any] = {
    "model": {"dropout": 0.2, "shared": False},
    "params": {"negative_downsampling": 0.5, "items_lr": 3e-3},
    "scheduler": linear_warmup,
}
FIT: dict[str, Any] = {"patience": 50, "accumulators": {"train_loss": ["mean", "sliding"]}}


class PowerCutError(Exception):
    """What ends a process in these tests."""


class Crash(pl.Callback):
    """The power goes off after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise PowerCutError


def train_on(
    tiny_bert: Path, into: Path, settings: dict[str, Any], callbacks: list[pl.Callback], checkpoint: Path | None = None
) -> Training:
    run = SmallRun(into)
    module = build_small(tiny_bert, settings=settings, **BUILD)
    trainer = {"enable_checkpointing": True}
    try:
        return fit_small(module, into, trainer=trainer, callbacks=callbacks, checkpoint=checkpoint, run=run, **FIT)
    except PowerCutError:
        return Training(module, run, {}, {})


def rows_after(made: Training, step: int) -> list[dict[str, float]]:
    return [row for row in made.run.rows if row["step"] > step]


def assert_resumes_exactly(tiny_bert: Path, tmp_path: Path, settings: dict[str, Any], crash: int, saved: int) -> None:
    whole = train_on(tiny_bert, tmp_path / "whole", settings, [])
    train_on(tiny_bert, tmp_path / "half", settings, [Crash(crash)])
    checkpoint = tmp_path / "half" / CHECKPOINTS_NAME / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["global_step"] == saved
    # Another process would have another state of the generators.
    torch.manual_seed(12345)
    resumed = train_on(tiny_bert, tmp_path / "half", settings, [], checkpoint)
    assert rows_after(resumed, saved) == rows_after(whole, saved)
    assert same(resumed.last, whole.last)
    assert same(resumed.weights, whole.weights)
    assert resumed.run.best_step == whole.run.best_step


@pytest.mark.parametrize(
    ("each", "crash", "saved"),
    [
        (0.5, 3, 2),  # in the middle of the first epoch
        (0.5, 7, 6),  # in the middle of the second one
        (0.5, 4, 4),  # right at the end of the first epoch
        (1.0, 6, 4),  # crashed in the middle, saved at the end
        (5, 5, 5),  # after the first batch of the second epoch
        (1000, 6, 4),  # validations are rarer than epochs: a checkpoint an epoch
    ],
)
def test_a_resumed_training_equals_the_uninterrupted_one(
    tiny_bert: Path, tmp_path: Path, each: float, crash: int, saved: int
) -> None:
    settings = {"num_epochs": 3, "test_each_n_inputs": each}
    assert_resumes_exactly(tiny_bert, tmp_path, settings, crash, saved)


@pytest.mark.parametrize(("crash", "saved"), [(4, 3), (7, 6), (9, 9)])
def test_a_checkpoint_between_validations_resumes_exactly_as_well(
    tiny_bert: Path, tmp_path: Path, crash: int, saved: int
) -> None:
    def each_third_step() -> ModelCheckpoint:
        folder = tmp_path / "half" / "own"
        return ModelCheckpoint(folder, filename="last", every_n_train_steps=3, enable_version_counter=False)

    settings = {"num_epochs": 3, "test_each_n_inputs": 1000}
    whole = train_on(tiny_bert, tmp_path / "whole", settings, [])
    train_on(tiny_bert, tmp_path / "half", settings, [Crash(crash), each_third_step()])
    checkpoint = tmp_path / "half" / "own" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["global_step"] == saved
    resumed = train_on(tiny_bert, tmp_path / "half", settings, [each_third_step()], checkpoint)
    assert rows_after(resumed, saved) == rows_after(whole, saved)
    assert same(resumed.last, whole.last)


def test_a_run_that_is_resumed_twice_still_ends_the_same(tiny_bert: Path, tmp_path: Path) -> None:
    settings = {"num_epochs": 3, "test_each_n_inputs": 0.5}
    whole = train_on(tiny_bert, tmp_path / "whole", settings, [])
    checkpoint = tmp_path / "half" / CHECKPOINTS_NAME / "last.ckpt"
    train_on(tiny_bert, tmp_path / "half", settings, [Crash(3)])
    train_on(tiny_bert, tmp_path / "half", settings, [Crash(7)], checkpoint)
    resumed = train_on(tiny_bert, tmp_path / "half", settings, [], checkpoint)
    assert rows_after(resumed, 6) == rows_after(whole, 6)
    assert same(resumed.weights, whole.weights)


def test_dropout_and_sampling_are_at_work_in_these_tests(tiny_bert: Path, tmp_path: Path) -> None:
    """Otherwise an equal end would prove nothing about the generators."""
    first = build_small(tiny_bert, **BUILD)
    torch.manual_seed(1)
    one = fit_small(first, tmp_path).last
    second = build_small(tiny_bert, **BUILD)
    torch.manual_seed(2)
    assert not same(fit_small(second, tmp_path).last, one)


def test_one_checkpoint_is_kept_and_the_place_in_the_epoch_is_in_it(tiny_bert: Path, tmp_path: Path) -> None:
    train_on(tiny_bert, tmp_path, {"num_epochs": 2, "test_each_n_inputs": 5}, [Crash(6)])
    (checkpoint,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert checkpoint.name == "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)["callbacks"]["ResumePoint"]
    assert state["batches_done"] == 2
