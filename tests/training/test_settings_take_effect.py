"""Each of FineTuningSettings changes a training exactly as its docstring says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.optim.lr_scheduler import StepLR

from hft.errors import TrainingError
from hft.losses import InfoNCELoss, MarginRankingLoss, ProbMarginRankingLoss
from hft.metrics import MRR, NDCG, Recall
from hft.models import CosineRanker, DotRanker, EuclideanRanker
from hft.running.assembly import validation_interval
from hft.training import linear_warmup
from small_training import RESULTS, Training, same, small_data, train_small
from tolerances import rounding

Train = Callable[..., Training]


@pytest.fixture
def train(tiny_bert: Path, tmp_path: Path) -> Train:
    """`train(setting=value)`: a small training with that setting; params and scheduler by name."""

    def call(*, params: Any = None, scheduler: Any = None, model: Any = None, data: Any = None, **settings: Any) -> Any:
        return train_small(
            tiny_bert, tmp_path, params=params, scheduler=scheduler, model=model, data=data, settings=settings
        )

    return call


def test_loss_func_is_the_loss_that_is_trained_on(train: Train) -> None:
    still = {"items_lr": 0.0, "margin": 0.3}
    by_loss = {
        type(loss).__name__: (train(loss_func=loss, params=still).series("train_loss"), train(loss_func=loss).last)
        for loss in (InfoNCELoss(), MarginRankingLoss(), ProbMarginRankingLoss())
    }
    assert len({tuple(losses) for losses, _ in by_loss.values()}) == 3
    assert not same(by_loss["InfoNCELoss"][1], by_loss["MarginRankingLoss"][1])
    assert all(0 <= loss <= 1 for loss in by_loss["ProbMarginRankingLoss"][0])


def test_the_losss_own_arguments_reach_it(train: Train) -> None:
    assert not same(train(loss_func=InfoNCELoss(0.05)).last, train(loss_func=InfoNCELoss(0.5)).last)


def test_weigh_events_lets_what_weighs_more_count_more_and_changes_nothing_where_all_weigh_the_same(
    train: Train,
) -> None:
    """Some events of the small log weigh 2."""
    weighed, plain = train(weigh_events=True), train(weigh_events=False)
    assert not same(weighed.last, plain.last)
    assert same(train().last, weighed.last)
    data = small_data()
    for weight in (1.0, 3.0):
        events = np.where(data.train.flat_events > 0, np.float32(weight), np.float32(0))
        alike = replace(data, train=data.train.with_events(events))
        made = train(weigh_events=True, data=alike)
        assert same(made.last, train(weigh_events=False, data=alike).last)
        assert same(made.last, plain.last)


def test_metric_calculators_are_the_metrics_that_are_logged(train: Train) -> None:
    made = train(metric_calculators=(NDCG(k=10), MRR(k=3), Recall(k=2)))
    found = {name for name in made.run.rows[0] if "@" in name}
    assert found == {"validation_ndcg@10", "validation_mrr@3", "validation_recall@2"}
    assert same(made.last, train().last)


@pytest.mark.parametrize("ranker", [CosineRanker(), DotRanker(), EuclideanRanker()])
def test_ranker_gives_the_ranks_that_loss_and_metrics_see(train: Train, ranker: Any) -> None:
    """The first validation, before any step, equals the ranker's own scores put in order."""
    made = train(ranker=ranker, metric_calculators=(NDCG(k=10), MRR(k=1)), params={"items_lr": 0.0})
    data, model = small_data(), made.module.model
    import torch

    queries = torch.from_numpy(model.encode(data.validation.queries, "query"))
    items = torch.from_numpy(model.encode(data.items.texts, "items"))
    hits = []
    for row, session in enumerate(data.validation):
        shown = items[[data.items.ids.index(item) for item in session.results]]
        ranks = ranker(queries[row].expand_as(shown), shown)
        best = int(ranks.argmax() if ranker.is_similarity else ranks.argmin())
        hits.append(session.events[best] > 0)
    assert made.run.rows[0]["validation_mrr@1"] == pytest.approx(np.mean(hits))


def test_is_similarity_turns_the_order_around_and_by_default_asks_the_ranker(train: Train) -> None:
    still = {"items_lr": 0.0}

    def measured(is_similarity: bool | None, ranker: Any) -> tuple[float, float]:
        metrics = (NDCG(k=10),)
        made = train(is_similarity=is_similarity, ranker=ranker, params=still, metric_calculators=metrics)
        return made.run.rows[0]["validation_ndcg@10"], made.series("train_loss")[0]

    for ranker, own in ((CosineRanker(), True), (EuclideanRanker(), False)):
        assert measured(None, ranker) == measured(own, ranker)
        assert measured(own, ranker)[0] != measured(not own, ranker)[0]
        assert measured(own, ranker)[1] != measured(not own, ranker)[1]


def test_confidence_calculator_weighs_what_the_loss_believes(train: Train) -> None:
    def share(value: float, events: Any, offsets: Any) -> Any:
        return np.full(len(events), value, dtype=np.float32)

    still = {"items_lr": 0.0, "margin": 2.0}
    full, half = (
        train(confidence_calculator=partial(share, value), loss_func=MarginRankingLoss(), params=still).series(
            "train_loss"
        )
        for value in (1.0, 0.5)
    )
    assert half == pytest.approx([loss / 2 for loss in full], rel=rounding(terms=100))


def test_confidence_calculator_gets_events_and_offsets_of_whole_lists(train: Train) -> None:
    seen = []

    def note(events: Any, offsets: Any) -> Any:
        seen.append((events.tolist(), offsets.tolist()))
        return np.ones(len(events), dtype=np.float32)

    train(confidence_calculator=note)
    data = small_data()
    for inputs in (data.train, data.validation):
        assert (inputs.flat_events.tolist(), [RESULTS * n for n in range(len(inputs) + 1)]) in seen


def test_step_size_and_gamma_decay_the_rate_of_step_lr(train: Train) -> None:
    """The group scheduler=step_lr interpolates both from settings; see the shipped YAML's own test."""
    rates = train(scheduler=partial(StepLR, step_size=3, gamma=0.5), num_epochs=2).series("items_lr")
    assert rates == pytest.approx([1e-3] * 3 + [5e-4] * 3 + [2.5e-4] * 2)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], [1.0] * 100 + [0.9]),
        (["settings.step_size=2"], [1.0, 1.0, 0.9, 0.9, 0.81]),
        (["settings.step_size=2", "settings.gamma=0.1"], [1.0, 1.0, 0.1, 0.1, 0.01]),
    ],
)
def test_the_shipped_step_lr_takes_step_size_and_gamma_from_the_settings(
    overrides: list[str], expected: list[float]
) -> None:
    import torch
    from hydra.utils import instantiate

    import hft

    config = hft.compose(["scheduler=step_lr", *overrides])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = instantiate(config.scheduler)(optimizer)
    rates = []
    for _ in expected:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx(expected)


def test_other_schedulers_ignore_step_size_and_gamma(train: Train) -> None:
    plain = train(scheduler=linear_warmup)
    assert same(train(scheduler=linear_warmup, step_size=1, gamma=0.01).last, plain.last)


def test_num_epochs_is_how_often_each_session_is_seen(train: Train) -> None:
    for epochs in (1, 3):
        made = train(num_epochs=epochs)
        assert made.series("inputs")[-1] == 20 * epochs
        assert max(row["epoch"] for row in made.run.rows if "train_loss" in row) == epochs - 1


@pytest.mark.parametrize(("size", "steps"), [(1, 20), (5, 4), (8, 3), (100, 1)])
def test_batch_size_is_the_sessions_of_a_step(train: Train, size: int, steps: int) -> None:
    inputs = [0.0, *(row["inputs"] for row in train(batch_size=size).run.rows if "train_loss" in row)]
    seen = np.diff(inputs).tolist()
    assert len(seen) == steps
    assert seen[:-1] == [size] * (steps - 1)
    assert sum(seen) == 20


@pytest.mark.parametrize(
    ("each", "batches"),
    [
        (5, [1, 2, 3, 4, 5, 6, 7, 8]),  # a count: every batch
        (10, [2, 4, 6, 8]),
        (12, [2, 4, 6, 8]),  # rounded to whole batches
        (30, [6, 8]),  # counted on across the epochs; the end of the run is always looked at
        (1000, [8]),
        (0.25, [1, 2, 3, 4, 5, 6, 7, 8]),  # a share of the epoch
        (0.5, [2, 4, 6, 8]),
        (1.0, [4, 8]),
        (1, [1, 2, 3, 4, 5, 6, 7, 8]),  # a whole number is a count
        (-1, [4, 8]),  # once an epoch
    ],
)
def test_test_each_n_inputs_is_how_often_one_validates(train: Train, each: float, batches: list[int]) -> None:
    made = train(test_each_n_inputs=each, num_epochs=2)
    assert [row["step"] for row in made.run.rows if "validation_loss" in row] == [0, *batches]


def test_a_validation_interval_is_at_least_one_batch() -> None:
    assert validation_interval(1, batch_size=32, batches=10) == 1
    assert validation_interval(0.001, batch_size=32, batches=10) == 1


def test_negatives_shown_are_of_the_session_and_in_batch_are_of_the_others(train: Train) -> None:
    """With one session a batch there are no others; with many, there are as many pairs as strangers' picks."""
    pairs = {
        (size, kind): sum(train(batch_size=size, negatives=kind, params={"items_lr": 0.0}).series("train_pairs"))
        for size in (1, 20)
        for kind in ("shown", "in_batch", "both")
        if (size, kind) != (1, "in_batch")
    }
    with pytest.raises(TrainingError, match="In-batch negatives need two sessions a batch"):
        train(batch_size=1, negatives="in_batch")
    assert pairs[1, "shown"] == pairs[1, "both"] == pairs[20, "shown"] > 0
    assert pairs[20, "in_batch"] > pairs[20, "shown"]
    assert pairs[20, "both"] > pairs[20, "in_batch"] + pairs[20, "shown"] - 20


def test_negatives_change_what_is_learned(train: Train) -> None:
    shown, in_batch, both = (train(negatives=kind).last for kind in ("shown", "in_batch", "both"))
    assert not same(shown, in_batch)
    assert not same(shown, both)
    assert not same(in_batch, both)
