"""The factor of the rate at each optimizer step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from hft.training import constant_rate, cosine_warmup, linear_warmup
from hft.training.finetuner import schedule
from small_training import build_small, fit_small, train_small


def rates_of(factory: Any, steps: int, **options: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = factory(optimizer, **options)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_linear_rises_over_the_warm_up_and_falls_to_zero_in_a_line() -> None:
    expected = [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]
    assert rates_of(linear_warmup, 11, total_steps=10, warmup_ratio=0.2) == pytest.approx(expected)


def test_cosine_falls_as_half_a_cosine() -> None:
    rates = rates_of(cosine_warmup, 11, total_steps=10, warmup_ratio=0.2)
    expected = [0.5, 1.0, *(0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(9))]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("factory", [linear_warmup, cosine_warmup])
def test_every_step_of_a_run_moves_something(factory: Any) -> None:
    for total in (1, 2, 7):
        assert min(rates_of(factory, total, total_steps=total, warmup_ratio=0.0)) > 0
        assert min(rates_of(factory, total, total_steps=total)) > 0


def test_constant_keeps_the_rate() -> None:
    assert rates_of(constant_rate, 5) == [1.0] * 5


def test_total_steps_is_handed_to_a_schedule_that_takes_it_and_to_no_other() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    got: dict[str, int] = {}

    def takes(optimizer: Any, total_steps: int) -> Any:
        got["total_steps"] = total_steps
        return constant_rate(optimizer)

    schedule(takes, optimizer, 12)
    schedule(constant_rate, optimizer, 12)
    assert got == {"total_steps": 12}


def test_a_run_steps_its_schedule_once_an_optimizer_step_and_writes_the_rates_it_used(
    tiny_bert: Path, tmp_path: Path
) -> None:
    made = train_small(tiny_bert, tmp_path, scheduler=linear_warmup, settings={"num_epochs": 2})
    expected = [1.0, *(1 - step / 7 for step in range(7))]  # 8 steps, of which one warms up
    assert made.series("items_lr") == pytest.approx([1e-3 * factor for factor in expected])


def test_accumulated_batches_are_one_step_of_the_schedule(tiny_bert: Path, tmp_path: Path) -> None:
    module = build_small(tiny_bert, scheduler=linear_warmup)
    made = fit_small(module, tmp_path, trainer={"accumulate_grad_batches": 2})
    assert made.series("items_lr") == pytest.approx([1e-3] * 4)
    assert [row["step"] for row in made.run.rows if "train_loss" in row] == [0, 1, 1, 2]
