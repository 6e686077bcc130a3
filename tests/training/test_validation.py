"""What a run looks at while it trains: the loss that one would work out by hand, and the start before all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hft.losses import MarginRankingLoss
from hft.metrics import NDCG, NotIrrelevantDistShift
from small_training import build_small, fit_small, small_data, train_small
from tolerances import rounding


def test_the_loss_equals_the_one_worked_out_by_hand(tiny_bert: Path) -> None:
    """Margin ranking over shown lists: per batch the mean over pairs, weighted by the events of their positives; of
    batches by their positives."""
    settings = {"loss_func": MarginRankingLoss(), "batch_size": 3}
    module = build_small(tiny_bert, params={"margin": 0.4}, settings=settings)
    data = small_data()
    assert module.validator is not None
    found = module.validator(module.model)

    def unit(texts: list[str], side: Any) -> np.ndarray:
        vectors = module.model.encode(texts, side).astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    cosines = unit(data.validation.queries, "query") @ unit(data.items.texts, "items").T
    losses, positives = [], []
    for start in range(0, len(data.validation), 3):
        pairs, events_of_pairs = [], []
        for row in range(start, min(start + 3, len(data.validation))):
            session = data.validation[row]
            ranks = cosines[row, [data.items.ids.index(item) for item in session.results]]
            events = np.array(session.events)
            pairs += [max(0.0, 0.4 - (p - n)) for p in ranks[events > 0] for n in ranks[events == 0]]
            events_of_pairs += [event for event in events[events > 0] for _ in ranks[events == 0]]
            positives.append(int((events > 0).sum()))
        losses.append(float(np.average(pairs, weights=events_of_pairs)))
    weights = [sum(positives[start : start + 3]) for start in range(0, len(positives), 3)]
    assert found["validation_loss"] == pytest.approx(
        np.average(losses, weights=weights), abs=2 * rounding(terms=64, sums=14)
    )


def test_the_start_is_evaluated_first_and_written_as_step_zero(tiny_bert: Path, tmp_path: Path) -> None:
    module = build_small(tiny_bert)
    expected = build_small(tiny_bert).validator(module.model)  # type: ignore[misc]
    made = fit_small(module, tmp_path)
    assert made.run.rows[0] == {"step": 0, "epoch": 0, "inputs": 0, **expected}


def test_shifts_are_measured_from_the_start_on(tiny_bert: Path, tmp_path: Path) -> None:
    metrics = (NDCG(k=10), NotIrrelevantDistShift())
    made = train_small(tiny_bert, tmp_path, settings={"metric_calculators": metrics})
    validations = [row for row in made.run.rows if "validation_loss" in row]
    assert "validation_not_irrelevant_dist_shift" not in validations[0]
    assert validations[-1]["validation_not_irrelevant_dist_shift"] != 0


def test_every_validation_sees_the_same_pairs(tiny_bert: Path) -> None:
    module = build_small(tiny_bert, params={"negative_downsampling": 0.3}, data=small_data(irrelevant=4))
    assert module.validator is not None
    first = module.validator(module.model)
    torch.manual_seed(99)
    assert module.validator(module.model) == first


def test_how_often_one_validates_changes_no_step(tiny_bert: Path, tmp_path: Path) -> None:
    losses = [
        train_small(
            tiny_bert, tmp_path, model={"dropout": 0.3}, settings={"test_each_n_inputs": each, "num_epochs": 2}
        ).series("train_loss")
        for each in (5, 1.0, 1000)
    ]
    assert losses[0] == losses[1] == losses[2]


def test_a_split_without_a_usable_session_has_no_loss(tiny_bert: Path) -> None:
    module = build_small(tiny_bert, data=small_data(irrelevant=1), settings={"negatives": "shown"})
    assert module.validator is not None
    assert "validation_loss" not in module.validator(module.model)
