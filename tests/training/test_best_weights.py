"""A run ends with the weights of its best validation; the starting model counts as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from hft.training import BestWeights
from small_training import Training, build_small, fit_small, same, train_small

MANY = {"test_each_n_inputs": 5, "num_epochs": 2}


def values_of(made: Training, name: str) -> dict[int, float]:
    return {int(row["step"]): row[name] for row in made.run.rows if name in row}


@pytest.mark.parametrize(("direction", "pick"), [("minimize", min), ("maximize", max)])
def test_the_best_weights_are_kept_and_not_the_last(tiny_bert: Path, tmp_path: Path, direction: str, pick: Any) -> None:
    module = build_small(tiny_bert, settings=MANY, params={"items_lr": 3e-3})
    made = fit_small(module, tmp_path, main_metric="loss", direction=direction)
    values = values_of(made, "validation_loss")
    best = pick(values, key=lambda step: values[step])
    assert made.run.best_step == best
    assert same(made.weights, made.after[best] if best else made.start)


def test_both_directions_do_not_end_at_the_same_step(tiny_bert: Path, tmp_path: Path) -> None:
    steps = {
        train_small(
            tiny_bert, tmp_path, settings=MANY, fitting={"main_metric": "loss", "direction": direction}
        ).run.best_step
        for direction in ("minimize", "maximize")
    }
    assert len(steps) == 2


def test_the_start_is_restored_where_nothing_beats_it(tiny_bert: Path, tmp_path: Path) -> None:
    module = build_small(tiny_bert, params={"items_lr": 0.0})
    assert fit_small(module, tmp_path).run.best_step == 0
    destroyed = train_small(
        tiny_bert, tmp_path, params={"items_lr": 0.5}, fitting={"main_metric": "loss", "direction": "minimize"}
    )
    assert destroyed.series("validation_loss")[-1] > destroyed.series("validation_loss")[0]
    assert destroyed.run.best_step == 0
    assert destroyed.moved()
    assert same(destroyed.weights, destroyed.start)


def test_the_end_of_the_run_is_looked_at_even_where_no_validation_is_due(tiny_bert: Path, tmp_path: Path) -> None:
    made = train_small(tiny_bert, tmp_path, settings={"test_each_n_inputs": 15})
    assert sorted(values_of(made, "validation_loss")) == [0, 3, 4]


def test_a_value_that_is_equal_does_not_replace_the_earlier_weights() -> None:
    best = BestWeights("validation_ndcg@10", "maximize", 0.1 + 0.2)
    module = pl.LightningModule()
    best.consider(0.1 + 0.2, 5, module)
    assert (best.best_step, best.seen_step) == (0, 5)
    best.consider(0.4, 6, module)
    assert best.best_step == 6


def stopped_after(tiny_bert: Path, into: Path, patience: int | None, direction: str = "maximize") -> int:
    module = build_small(tiny_bert, settings=MANY | {"num_epochs": 3}, params={"items_lr": 0.0})
    made = fit_small(module, into, patience=patience, main_metric="loss", direction=direction)
    return max(int(row["step"]) for row in made.run.rows)


@pytest.mark.parametrize(("patience", "steps"), [(1, 1), (2, 2), (5, 5), (None, 12)])
def test_training_stops_after_so_many_validations_that_did_not_beat_the_start(
    tiny_bert: Path, tmp_path: Path, patience: int | None, steps: int
) -> None:
    """Nothing moves, so no validation is better than the start; one validation a step."""
    assert stopped_after(tiny_bert, tmp_path, patience) == steps
    assert stopped_after(tiny_bert, tmp_path, patience, "minimize") == steps


def test_training_goes_on_while_the_metric_improves(tiny_bert: Path, tmp_path: Path) -> None:
    settings = {"num_epochs": 2, "test_each_n_inputs": 5}
    made = train_small(
        tiny_bert,
        tmp_path,
        settings=settings,
        params={"items_lr": 1e-4},
        fitting={"patience": 4, "main_metric": "loss", "direction": "minimize"},
    )
    values = list(values_of(made, "validation_loss").values())
    since_best = len(values) - 1 - values.index(min(values))
    assert len(values) == 9 or since_best == 4
