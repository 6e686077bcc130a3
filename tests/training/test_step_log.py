"""Every step and every validation is written down, in full precision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_training import SESSIONS, build_small, fit_small, train_small


def test_every_step_has_a_row_with_loss_rates_and_sessions_seen(tiny_bert: Path, tmp_path: Path) -> None:
    made = train_small(tiny_bert, tmp_path, model={"shared": False}, settings={"num_epochs": 2})
    steps = [row for row in made.run.rows if "train_loss" in row]
    assert [row["step"] for row in steps] == list(range(1, 9))
    assert [row["epoch"] for row in steps] == [0] * 4 + [1] * 4
    assert [row["inputs"] for row in steps] == [5 * step for step in range(1, 9)]
    assert steps[-1]["inputs"] == 2 * SESSIONS["train"]
    assert all({"query_lr", "items_lr", "train_pairs", "train_dead_wrong_share"} <= set(row) for row in steps)


def test_validations_are_written_in_full_precision(tiny_bert: Path, tmp_path: Path) -> None:
    made = train_small(tiny_bert, tmp_path, params={"items_lr": 0.0})
    first, last = (row for row in made.run.rows if "validation_loss" in row)
    names = [name for name in first if name.startswith("validation_")]
    assert [json.dumps(first[name]) for name in names] == [json.dumps(last[name]) for name in names]


def test_accumulators_stand_beside_the_series_they_follow(tiny_bert: Path, tmp_path: Path) -> None:
    made = train_small(
        tiny_bert, tmp_path, fitting={"accumulators": {"train_loss": ["mean", "min"], "validation_loss": ["max"]}}
    )
    losses = made.series("train_loss")
    assert made.series("train_loss_mean") == pytest.approx([sum(losses[: n + 1]) / (n + 1) for n in range(4)])
    assert made.series("train_loss_min") == [min(losses[: n + 1]) for n in range(4)]
    assert "validation_loss_max" in made.run.rows[-1]


def test_the_loss_written_is_the_batchs_also_where_batches_are_accumulated(tiny_bert: Path, tmp_path: Path) -> None:
    frozen = {"items_lr": 0.0}
    alone = train_small(tiny_bert, tmp_path, params=frozen).series("train_loss")
    module = build_small(tiny_bert, params=frozen)
    assert fit_small(module, tmp_path, trainer={"accumulate_grad_batches": 2}).series("train_loss") == alone
