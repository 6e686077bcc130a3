"""Hard negatives: what the model ranks high among the training items although it is no positive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pydantic import ValidationError

from hft.experiments import CHECKPOINTS_NAME
from hft.methods import EmbeddingsMethod
from hft.models import CosineRanker
from hft.models.rankers import EuclideanRanker
from hft.settings import HardNegativeSettings
from hft.training import HardNegativeMiner, HardNegativeMining, ItemParts, PairPlanner, SessionArrays
from hft.training.checkpoint_folder import checkpoints_in
from hft.training.hard_negatives import MinedNegatives
from small_training import (
    SmallRun,
    Training,
    build_small,
    fit_small,
    params_with,
    same,
    settings_with,
    small_data,
    small_model,
)

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")

# Angles, in degrees, of the vectors of six items and two queries on the circle: neighbours are alike.
ITEM_ANGLES = [0.0, 10.0, 20.0, 40.0, 80.0, 5.0]
QUERY_ANGLES = [0.0, 80.0]


class Store:
    """Stands where a TokenStore stands: a row's tokens are its own number."""

    keys = None

    def __init__(self, count: int) -> None:
        self.lengths = np.ones(count, dtype=np.int64)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        return rows


class OnACircle(torch.nn.Module):
    """A model whose vectors are points on the unit circle."""

    def __init__(self) -> None:
        super().__init__()
        self.query = torch.nn.Parameter(torch.tensor(QUERY_ANGLES))
        self.items = torch.nn.Parameter(torch.tensor(ITEM_ANGLES))

    def embed(self, rows: np.ndarray, side: str) -> torch.Tensor:
        angles = torch.deg2rad(getattr(self, side)[torch.from_numpy(rows)])
        return torch.stack((angles.cos(), angles.sin()), dim=1)


def sessions_of(lists: list[list[int]], picked: list[list[int]], item_keys: list[int] | None = None) -> SessionArrays:
    flat = np.array([row for shown in lists for row in shown], dtype=np.int64)
    events = [float(row in picks) for shown, picks in zip(lists, picked, strict=True) for row in shown]
    return SessionArrays(
        query_rows=np.arange(len(lists)),
        query_keys=np.arange(len(lists)),
        offsets=np.concatenate(([0], np.cumsum([len(shown) for shown in lists]))).astype(np.int64),
        item_rows=flat,
        item_keys=np.arange(len(ITEM_ANGLES)) if item_keys is None else np.array(item_keys),
        events=np.array(events, dtype=np.float32),
        confidences=np.ones(len(flat), dtype=np.float32),
        is_irrelevant=np.zeros(len(lists), dtype=bool),
    )


def mined(
    sessions: SessionArrays, *, ranker: Any = None, sign: float = 1.0, parts: ItemParts | None = None, **settings: Any
) -> dict[tuple[int, int], list[int]]:
    """The negatives of each (query, positive)."""
    miner = HardNegativeMiner(
        sessions,
        Store(2),  # type: ignore[arg-type]
        Store(len(ITEM_ANGLES)),  # type: ignore[arg-type]
        HardNegativeSettings(**{"margin": 0.0, "count": 10, **settings}),
        ranker=ranker or CosineRanker(),
        sign=sign,
        precision="32-true",
        seed=0,
        parts=parts,
    )
    found = miner.mine(OnACircle())
    pairs = [divmod(int(code), found.num_items) for code in found.codes]
    spans = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    return {pair: found.item_rows[start:stop].tolist() for pair, (start, stop) in zip(pairs, spans, strict=True)}


def test_the_hardest_come_first_and_no_positive_is_among_them():
    found = mined(sessions_of([[0, 1, 2, 3], [4, 3]], [[0], [4]]))
    assert found == {(0, 0): [1, 2, 3, 4], (1, 4): [3, 2, 1, 0]}


def test_only_items_of_the_given_sessions_are_mined():
    found = mined(sessions_of([[0, 1], [4, 3]], [[0], [4]]))
    assert {item for items in found.values() for item in items} <= {0, 1, 3, 4}


def test_a_double_of_a_positive_is_no_negative():
    found = mined(sessions_of([[0, 1, 2], [4, 3]], [[0], [4]], item_keys=[0, 0, 2, 3, 4, 5]))
    assert found[0, 0] == [2, 3, 4]


@pytest.mark.parametrize(("ranker", "sign"), [(CosineRanker(), 1.0), (EuclideanRanker(), -1.0)])
def test_an_item_in_parts_is_as_hard_as_its_part_that_fits_best(ranker: Any, sign: float):
    # Items 0 to 2 have two parts each: angles (0, 10), (20, 40), (80, 5).
    parts = ItemParts(np.array([0, 2, 4, 6], dtype=np.int64), "max")
    sessions = replace(sessions_of([[0, 1, 2], [2, 0]], [[0], [2]]), item_keys=np.arange(3))
    assert mined(sessions, parts=parts, ranker=ranker, sign=sign) == {(0, 0): [2, 1], (1, 2): [1, 0]}
    mean = replace(parts, how="mean")
    assert mined(sessions, parts=mean, ranker=ranker, sign=sign)[0, 0] == [1, 2]


def test_a_click_that_is_not_believed_is_no_negative_of_itself():
    sessions = sessions_of([[0, 1, 2, 3], [4, 3]], [[0, 1], [4]])
    believed = np.array([True, False, False, False, True, False])
    assert mined(replace(sessions, believed=believed)) == {
        (0, 0): [1, 2, 3, 4],
        (0, 1): [2, 3, 4],
        (1, 4): [3, 2, 1, 0],
    }
    nothing = mined(replace(sessions, believed=np.zeros(6, dtype=bool)))
    assert nothing[0, 0] == [1, 2, 3, 4]


def test_ranks_are_a_window_of_the_places_and_count_takes_the_first():
    sessions = sessions_of([[0, 1, 2, 3], [4, 3]], [[0], [4]])
    assert mined(sessions, ranks=[2, 3])[0, 0] == [2, 3]
    assert mined(sessions, ranks=[2, 3], count=1)[0, 0] == [2]


def test_places_are_counted_without_the_positives():
    sessions = sessions_of([[0, 1, 2, 3], [4, 3]], [[0, 1], [4]])
    assert mined(sessions, ranks=[1, 1])[0, 0] == [2]


def test_the_guard_drops_what_scores_as_high_as_the_positive():
    # Query 0 at 0 degrees, its positive at 20 (cosine .940); items at 0, 10 (.985), 40 (.766), 80 (.174).
    sessions = sessions_of([[0, 1, 2, 3], [4, 3]], [[2], [4]])
    assert mined(sessions)[0, 2] == [3, 4]
    assert mined(sessions, margin=0.17)[0, 2] == [3, 4]
    assert mined(sessions, margin=0.18)[0, 2] == [4]


def test_the_guard_by_a_share_of_the_positives_score():
    sessions = sessions_of([[0, 1, 2, 3], [4, 3]], [[2], [4]])
    assert mined(sessions, max_ratio=0.82)[0, 2] == [3, 4]  # .766 / .940 = .815
    assert mined(sessions, max_ratio=0.80)[0, 2] == [4]


def test_each_positive_of_a_query_has_a_guard_of_its_own():
    found = mined(sessions_of([[0, 1, 2, 3], [4, 3]], [[0, 2], [4]]))
    assert found[0, 0] == [1, 3, 4]
    assert found[0, 2] == [3, 4]


def test_a_distance_is_mined_the_other_way_round():
    sessions = sessions_of([[0, 1, 2, 3], [4, 3]], [[2], [4]])
    assert mined(sessions, ranker=EuclideanRanker(), sign=-1.0)[0, 2] == [3, 4]
    # Distances .347 of the positive, .684 and 1.286 of the two.
    assert mined(sessions, ranker=EuclideanRanker(), sign=-1.0, margin=0.4)[0, 2] == [4]
    assert mined(sessions, ranker=EuclideanRanker(), sign=-1.0, max_ratio=0.4)[0, 2] == [4]


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValidationError, match=r"write \[2, 5\]"):
        HardNegativeSettings(ranks=[5, 2])


@pytest.mark.parametrize("negatives", ["shown", "in_batch", "both"])
def test_mined_negatives_join_the_others_and_no_pair_counts_twice(negatives: Any):
    sessions = sessions_of([[0, 1], [4, 3]], [[0], [4]])
    plan = PairPlanner(sessions, negatives=negatives)
    rows, rng = np.arange(2), np.random.default_rng(0)
    before = plan.plan(rows, rng)
    plan.mined = MinedNegatives(np.array([0, 10]), np.array([0, 4, 5]), np.array([1, 4, 2, 5, 3]), 6)
    after = plan.plan(rows, rng)

    def pairs(made: Any) -> list[tuple[int, int, int]]:
        positive, negative = made.item_rows[made.positive_item], made.item_rows[made.negative_item]
        index = made.positive_index
        return sorted(zip(index.tolist(), positive.tolist(), negative.tolist(), strict=True))

    assert len(set(pairs(after))) == len(after)
    new = set(pairs(after)) - set(pairs(before))
    wanted = {(0, 0, 1), (0, 0, 4), (0, 0, 2), (0, 0, 5), (1, 4, 3)}
    assert new == wanted - set(pairs(before))
    assert new >= {(0, 0, 2), (0, 0, 5)}
    assert set(pairs(before)) <= set(pairs(after))


HARD: dict[str, Any] = {
    "num_epochs": 4,
    "hard_negatives": {"every_n_epochs": 2, "count": 3, "margin": 0.0},
    "test_each_n_inputs": 0.5,
}


class PowerCutError(Exception):
    """What ends a process in these tests."""


class Crash(pl.Callback):
    """The power goes off after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise PowerCutError


class Mined(pl.Callback):
    """Notes which negatives were in use at each step."""

    def __init__(self) -> None:
        self.at_steps: list[MinedNegatives] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        (mining,) = [callback for callback in pl_module.callbacks if isinstance(callback, HardNegativeMining)]
        self.at_steps.append(mining.mined)


def train(tiny_bert: Path, into: Path, *callbacks: pl.Callback, checkpoint: Path | None = None) -> Training:
    module = build_small(tiny_bert, settings=HARD, params={"items_lr": 3e-3}, model={"dropout": 0.1})
    run = SmallRun(into)
    trainer = {"enable_checkpointing": True}
    try:
        return fit_small(
            module, into, callbacks=list(callbacks), trainer=trainer, checkpoint=checkpoint, run=run, each_steps=1
        )
    except PowerCutError:
        return Training(module, run, {}, {})


def test_they_are_mined_anew_each_n_epochs_with_the_weights_of_the_moment(tiny_bert: Path, tmp_path: Path) -> None:
    watch = Mined()
    train(tiny_bert, tmp_path, watch)
    first, second = watch.at_steps[0], watch.at_steps[8]  # four batches an epoch
    assert all(mined is first for mined in watch.at_steps[:8])
    assert all(mined is second for mined in watch.at_steps[8:])
    assert not np.array_equal(first.item_rows, second.item_rows)


def test_the_first_batch_of_an_epoch_has_the_new_negatives(tiny_bert: Path, tmp_path: Path) -> None:
    with_them = train(tiny_bert, tmp_path / "a")
    without = fit_small(build_small(tiny_bert, settings={"num_epochs": 4}), tmp_path / "b")
    more = np.array(with_them.series("train_pairs")) - np.array(without.series("train_pairs"))
    assert (more > 0).all()


def test_no_item_of_test_or_validation_alone_is_ever_mined(tiny_bert: Path, tmp_path: Path) -> None:
    data = small_data()
    watch = Mined()
    train(tiny_bert, tmp_path, watch)
    in_training = set(data.train.flat_results.tolist())
    held_out = set(data.test.flat_results.tolist()) | set(data.validation.flat_results.tolist())
    assert held_out - in_training, "the data must have items that training does not show"
    for mined_at in watch.at_steps:
        assert set(mined_at.item_rows.tolist()) <= in_training


def test_two_trainings_mine_the_same(tiny_bert: Path, tmp_path: Path) -> None:
    first, second = train(tiny_bert, tmp_path / "a"), train(tiny_bert, tmp_path / "b")
    assert same(first.last, second.last)
    plain = fit_small(
        build_small(tiny_bert, settings={"num_epochs": 4}, params={"items_lr": 3e-3}, model={"dropout": 0.1}),
        tmp_path / "c",
    )
    assert not same(first.last, plain.last)


@pytest.mark.parametrize("crash", [6, 8, 11])
def test_a_training_resumed_in_the_middle_of_an_epoch_has_the_negatives_of_its_beginning(
    tiny_bert: Path, tmp_path: Path, crash: int
) -> None:
    whole = train(tiny_bert, tmp_path / "whole")
    train(tiny_bert, tmp_path / "half", Crash(crash))
    torch.manual_seed(12345)
    resumed = train(tiny_bert, tmp_path / "half", checkpoint=checkpoints_in(tmp_path / "half" / CHECKPOINTS_NAME)[0])
    assert same(resumed.last, whole.last)
    assert same(resumed.weights, whole.weights)


def test_what_fixed_layers_give_is_kept_for_all_items_that_may_be_mined(tiny_bert: Path) -> None:
    method, data = EmbeddingsMethod({"name": "small"}), small_data()
    texts = method.tokenize(small_model(tiny_bert), data)
    plain, mining = (
        method.text_uses(texts, settings_with(negatives="in_batch", **more), params_with(), test=True)[1].trained
        for more in ({}, {"hard_negatives": {"count": 2}})
    )
    assert set(plain.tolist()) < set(mining.tolist()) == set(data.train.flat_results.tolist())
