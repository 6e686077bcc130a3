"""A training that was interrupted goes on from its checkpoint and ends bit by bit as if it had not been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from hft.errors import TrainingError
from hft.experiments import CHECKPOINTS_NAME
from hft.training import last_saved, linear_warmup
from hft.training.checkpoint_folder import CheckpointFolder, checkpoints_in
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
    tiny_bert: Path,
    into: Path,
    settings: dict[str, Any],
    *callbacks: pl.Callback,
    resumes: bool = False,
    each: int = 1,
    **changes: Any,
) -> Training:
    """A training with a checkpoint each so many steps; `resumes`: from the last one of the folder."""
    fitting = {**FIT, "patience": changes.pop("patience", FIT["patience"])}
    building, trainer = {**BUILD, **changes.pop("build", {})}, {"enable_checkpointing": True, **changes}
    module = build_small(tiny_bert, settings=settings, **building)
    run = SmallRun(into)
    saved = last_saved(into / CHECKPOINTS_NAME, rows=10**6, notify=run.say) if resumes else None
    if saved is not None:
        run.rows = [{"row": row} for row in range(saved.rows)]
    checkpoint = None if saved is None else saved.path
    try:
        return fit_small(
            module,
            into,
            trainer=trainer,
            callbacks=list(callbacks),
            checkpoint=checkpoint,
            run=run,
            each_steps=each,
            **fitting,
        )
    except PowerCutError:
        return Training(module, run, {}, {})


def assert_resumes_exactly(
    tiny_bert: Path, tmp_path: Path, settings: dict[str, Any], whole: Training, crash: int, **changes: Any
) -> None:
    half = tmp_path / f"half-{crash}"
    train_on(tiny_bert, half, settings, Crash(crash), **changes)
    # Another process would have another state of the generators.
    torch.manual_seed(12345)
    resumed = train_on(tiny_bert, half, settings, resumes=True, **changes)
    start = len([row for row in resumed.run.rows if "row" in row])
    assert start > 1
    assert resumed.run.rows[start:] == whole.run.rows[start:]
    assert same(resumed.weights, whole.weights)
    assert resumed.run.best_step == whole.run.best_step
    validators = resumed.module.validator, whole.module.validator
    best, expected = (validator.best.means() for validator in validators)  # type: ignore[union-attr]
    assert best == expected


@pytest.mark.parametrize(
    ("settings", "changes", "crashes"),
    [
        ({"test_each_n_inputs": 0.5}, {}, [1, 4, 7]),  # four batches an epoch
        ({"test_each_n_inputs": 15}, {}, [3, 5]),  # counted on across the epochs
        ({"test_each_n_inputs": 1000}, {"each": 3}, [4]),
        ({"test_each_n_inputs": 0.5}, {"accumulate_grad_batches": 3}, [1, 2, 3]),  # two steps an epoch
        ({"test_each_n_inputs": 1.0}, {"limit_train_batches": 3}, [2, 3, 4]),
        ({"test_each_n_inputs": 0.5}, {"build": {"params": {"num_fixed_layers": 1, "items_lr": 3e-3}}}, [3]),
    ],
)
def test_a_training_resumed_after_any_step_equals_the_uninterrupted_one(
    tiny_bert: Path, tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], crashes: list[int]
) -> None:
    settings = {"num_epochs": 3, **settings}
    whole = train_on(
        tiny_bert, tmp_path / "whole", settings, each=1000, **{k: v for k, v in changes.items() if k != "each"}
    )
    for crash in crashes:
        assert_resumes_exactly(tiny_bert, tmp_path, settings, whole, crash, **changes)


def test_a_run_that_is_resumed_twice_still_ends_the_same(tiny_bert: Path, tmp_path: Path) -> None:
    settings = {"num_epochs": 3, "test_each_n_inputs": 0.5}
    whole = train_on(tiny_bert, tmp_path / "whole", settings)
    train_on(tiny_bert, tmp_path / "half", settings, Crash(3))
    train_on(tiny_bert, tmp_path / "half", settings, Crash(7), resumes=True)
    resumed = train_on(tiny_bert, tmp_path / "half", settings, resumes=True)
    assert resumed.run.rows[-3:] == whole.run.rows[-3:]
    assert same(resumed.weights, whole.weights)


def test_an_early_stop_is_no_different_after_a_resume(tiny_bert: Path, tmp_path: Path) -> None:
    """The checkpoint holds how long nothing has improved; none is written once the training is to stop."""
    settings = {"num_epochs": 3, "test_each_n_inputs": 5}
    stops = {"build": {"params": {"items_lr": 0.0, "query_lr": 0.0}}, "patience": 4}
    whole = train_on(tiny_bert, tmp_path / "whole", settings, **stops)
    assert max(row["step"] for row in whole.run.rows) == 4
    for crash in (1, 3):
        assert_resumes_exactly(tiny_bert, tmp_path, settings, whole, crash, **stops)
    assert checkpoints_in(tmp_path / "whole" / CHECKPOINTS_NAME)[0].name == "step-00000003"


def test_dropout_and_sampling_are_at_work_in_these_tests(tiny_bert: Path, tmp_path: Path) -> None:
    """Otherwise an equal end would prove nothing about the generators."""
    first = build_small(tiny_bert, **BUILD)
    torch.manual_seed(1)
    one = fit_small(first, tmp_path).last
    second = build_small(tiny_bert, **BUILD)
    torch.manual_seed(2)
    assert not same(fit_small(second, tmp_path).last, one)


def test_the_last_two_checkpoints_are_kept(tiny_bert: Path, tmp_path: Path) -> None:
    train_on(tiny_bert, tmp_path, {"num_epochs": 2, "test_each_n_inputs": 1.0}, Crash(6))
    folder = tmp_path / CHECKPOINTS_NAME
    assert [path.name for path in checkpoints_in(folder)] == ["step-00000006", "step-00000005"]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json", "checksums.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(
    tiny_bert: Path, tmp_path: Path, file: str, damage: str
) -> None:
    train_on(tiny_bert, tmp_path, {"num_epochs": 1, "test_each_n_inputs": 1.0}, Crash(3))
    folder = tmp_path / CHECKPOINTS_NAME
    path = folder / "step-00000003" / file
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-1])
    else:
        # The last digit of a checksum, or what lies in the middle of another file.
        content[content.rindex(b'"') - 1 if file == "checksums.json" else len(content) // 2] ^= 4
        path.write_bytes(content)
    said: list[str] = []
    saved = last_saved(folder, rows=100, notify=said.append)
    assert saved is not None
    assert saved.step == 2
    assert "step-00000003: is damaged and passed over" in said[0]
    assert not path.parent.exists()


def test_a_checkpoint_that_counts_more_rows_than_there_are_is_passed_over(tiny_bert: Path, tmp_path: Path) -> None:
    train_on(tiny_bert, tmp_path, {"num_epochs": 1, "test_each_n_inputs": 1.0}, Crash(3))
    saved = last_saved(tmp_path / CHECKPOINTS_NAME, rows=3, notify=print)
    assert saved is not None
    assert (saved.step, saved.rows) == (2, 3)


def test_weights_that_do_not_move_are_in_no_checkpoint(tiny_bert: Path, tmp_path: Path) -> None:
    sizes = []
    for fixed in (0, 1):
        params = {"build": {"params": {"num_fixed_layers": fixed}}}
        train_on(tiny_bert, tmp_path / str(fixed), {"num_epochs": 1}, Crash(2), **params)
        folder = checkpoints_in(tmp_path / str(fixed) / CHECKPOINTS_NAME)[0]
        sizes.append((folder / "tensors.safetensors").stat().st_size)
    assert sizes[1] < sizes[0] / 2


def test_a_checkpoint_gives_back_what_was_written(tmp_path: Path) -> None:
    tied = torch.arange(6.0).view(2, 3)
    content = {
        "tensors": {0: tied, "part": tied[:, 1], "again": tied, "bf16": torch.ones(2, dtype=torch.bfloat16)},
        "numbers": [1, 0.1, float("inf"), True, None, 2**70],
        "pairs": (("a", 1.5), {"b": ()}),
    }
    CheckpointFolder().save_checkpoint(content, tmp_path / "step-00000001")
    found = CheckpointFolder().load_checkpoint(tmp_path / "step-00000001")
    assert found["numbers"] == content["numbers"]
    assert found["pairs"] == content["pairs"]
    tensors = found["tensors"]
    assert list(tensors) == [0, "part", "again", "bf16"]
    assert torch.equal(tensors[0], tied)
    assert torch.equal(tensors["part"], tied[:, 1])
    assert tensors["bf16"].dtype == torch.bfloat16


def test_what_is_no_plain_value_is_refused_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"callbacks\.Mine\.path is a PosixPath.*enable_checkpointing=false"):
        CheckpointFolder().save_checkpoint({"callbacks": {"Mine": {"path": tmp_path}}}, tmp_path / "step-00000001")
    assert list(tmp_path.iterdir()) == []
