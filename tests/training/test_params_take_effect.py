"""Each of FineTuningParams changes a training exactly as its docstring says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hft.losses import InfoNCELoss, MarginRankingLoss
from hft.settings import FineTuningParams
from small_training import Training, build_small, fit_small, make_sgd, same, small_data, train_small
from tolerances import rounding

TWO_TOWERS = {"shared": False}
# One step of plain SGD: w' = w - lr * (gradient + decay * w).
ONE_STEP: dict[str, Any] = {"optimizer": make_sgd, "fitting": {"trainer": {"max_steps": 1}}}


def tower_of(made: Training, tower: str) -> dict[str, torch.Tensor]:
    """How far each weight of a tower (`query` or `items`) went."""
    prefix = {"query": "own_query_tower.", "items": "items_tower."}[tower]
    return {name: made.last[name] - value for name, value in made.start.items() if name.startswith(prefix)}


def still(shifts: dict[str, torch.Tensor]) -> bool:
    return not any(shift.any() for shift in shifts.values())


@pytest.fixture(scope="module")
def plain(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training with the defaults of small_training, to compare with."""
    return train_small(tiny_bert, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("fixed", [0, 1, 2])
def test_num_fixed_layers_leaves_the_first_layers_bit_identical_and_moves_the_others(
    tiny_bert: Path, tmp_path: Path, fixed: int
) -> None:
    made = train_small(tiny_bert, tmp_path, params={"num_fixed_layers": fixed}, model={"dense_dim": 8, "dropout": 0.1})
    moved = {
        part: any(part in name and "pooler" not in name for name in made.moved())
        for part in ("embeddings", "layer.0.", "layer.1.", "projections")
    }
    assert moved == {"embeddings": fixed < 1, "layer.0.": fixed < 1, "layer.1.": fixed < 2, "projections": True}


@pytest.mark.parametrize(("param", "stays"), [("query_lr", "query"), ("items_lr", "items")])
def test_a_rate_of_zero_leaves_its_tower_as_it_was_and_the_other_moves(
    tiny_bert: Path, tmp_path: Path, param: str, stays: str
) -> None:
    made = train_small(tiny_bert, tmp_path, model=TWO_TOWERS, params={param: 0.0})
    other = {"query": "items", "items": "query"}[stays]
    assert still(tower_of(made, stays))
    assert not still(tower_of(made, other))


@pytest.mark.parametrize("tower", ["query", "items"])
def test_twice_the_rate_is_twice_the_step_of_its_tower_alone(tiny_bert: Path, tmp_path: Path, tower: str) -> None:
    once, twice = (
        train_small(
            tiny_bert,
            tmp_path,
            model=TWO_TOWERS,
            params={"query_weight_decay": 0.0, "items_weight_decay": 0.0, f"{tower}_lr": rate},
            **ONE_STEP,
        )
        for rate in (0.01, 0.02)
    )
    other = {"query": "items", "items": "query"}[tower]
    for name, shift in tower_of(once, tower).items():
        torch.testing.assert_close(tower_of(twice, tower)[name], 2 * shift, atol=1e-6, rtol=1e-3)
    assert same(tower_of(once, other), tower_of(twice, other))


@pytest.mark.parametrize("tower", ["query", "items"])
def test_a_decay_pulls_its_tower_alone_towards_zero(tiny_bert: Path, tmp_path: Path, tower: str) -> None:
    """AdamW's decay is decoupled: it takes rate * decay * weight away, whatever the gradient is."""
    rate, decay = 1e-2, 0.5
    none, some = (
        train_small(
            tiny_bert,
            tmp_path,
            model=TWO_TOWERS,
            params={
                "query_lr": rate,
                "items_lr": rate,
                "query_weight_decay": 0.0,
                "items_weight_decay": 0.0,
                f"{tower}_weight_decay": value,
            },
            fitting={"trainer": {"max_steps": 1}},
        )
        for value in (0.0, decay)
    )
    other = {"query": "items", "items": "query"}[tower]
    for name in tower_of(none, tower):
        if "pooler" not in name:
            expected = none.last[name] - rate * decay * none.start[name]
            torch.testing.assert_close(some.last[name], expected, atol=1e-6, rtol=1e-4)
    assert same(tower_of(none, other), tower_of(some, other))


def test_rate_and_decay_of_the_queries_are_ignored_where_the_tower_is_shared(
    tiny_bert: Path, tmp_path: Path, plain: Training
) -> None:
    made = train_small(tiny_bert, tmp_path, params={"query_lr": 0.5, "query_weight_decay": 0.9})
    assert same(made.last, plain.last)


def test_rate_and_decay_of_the_items_rule_a_shared_tower(tiny_bert: Path, tmp_path: Path, plain: Training) -> None:
    assert train_small(tiny_bert, tmp_path, params={"items_lr": 0.0}).moved() == set()
    assert not same(train_small(tiny_bert, tmp_path, params={"items_weight_decay": 0.9}).last, plain.last)


def test_margin_is_by_how_much_a_positive_should_win(tiny_bert: Path, tmp_path: Path) -> None:
    """Margin ranking: max(0, margin - difference). Below the reach of a cosine every pair costs the difference."""
    losses = [
        train_small(
            tiny_bert,
            tmp_path,
            params={"margin": margin, "items_lr": 0.0},
            settings={"loss_func": MarginRankingLoss()},
        ).series("train_loss")
        for margin in (2.0, 2.5)
    ]
    assert losses[1] == pytest.approx([loss + 0.5 for loss in losses[0]], abs=3 * rounding(terms=100))


def test_infonce_ignores_the_margin(tiny_bert: Path, tmp_path: Path, plain: Training) -> None:
    assert "margin" in InfoNCELoss.ignores
    assert same(train_small(tiny_bert, tmp_path, params={"margin": 0.9}).last, plain.last)


def test_not_irrelevant_only_trains_on_no_irrelevant_session(tiny_bert: Path, tmp_path: Path) -> None:
    data = small_data(irrelevant=4)
    without, using = (
        train_small(tiny_bert, tmp_path, data=data, params={"not_irrelevant_only": only}) for only in (True, False)
    )
    assert without.series("inputs")[-1] == 15
    assert using.series("inputs")[-1] == 20
    assert sum(using.series("train_pairs")) > sum(without.series("train_pairs"))


def test_an_irrelevant_session_teaches_nothing_while_not_irrelevant_only(tiny_bert: Path, tmp_path: Path) -> None:
    data = small_data(irrelevant=4)
    kept = [row for row in range(20) if row % 4 != 3]
    removed = small_data(irrelevant=4).train.select(kept)
    fewer = type(data)(**{**vars(data), "train": removed})
    batches = {"batch_size": 20}
    first, second = (train_small(tiny_bert, tmp_path, data=some, settings=batches) for some in (data, fewer))
    assert first.series("train_pairs") == second.series("train_pairs")
    assert first.series("train_loss") == pytest.approx(second.series("train_loss"), rel=rounding(terms=64, sums=14))


@pytest.mark.parametrize(("share", "pairs"), [(1.0, 13 * 4 + 7 * 2 * 3), (0.5, 13 * 2 + 7 * 2 * 2), (0.01, 13 + 7 * 2)])
def test_negative_downsampling_keeps_that_share_of_each_sessions_negatives(
    tiny_bert: Path, tmp_path: Path, share: float, pairs: int
) -> None:
    """13 of 20 sessions have one positive and 4 negatives, 7 have two and 3: pairs are positives x kept ones."""
    made = train_small(tiny_bert, tmp_path, params={"negative_downsampling": share})
    assert sum(made.series("train_pairs")) == pairs


def test_negatives_are_redrawn_each_epoch(tiny_bert: Path, tmp_path: Path) -> None:
    """Nothing moves and an epoch is one batch: only the draw of the negatives can change its loss."""
    settings = {"num_epochs": 3, "batch_size": 20}

    def losses(share: float) -> list[float]:
        params = {"items_lr": 0.0, "negative_downsampling": share}
        made = train_small(tiny_bert, tmp_path, params=params, settings=settings)
        return [round(loss, 4) for loss in made.series("train_loss")]

    assert len(set(losses(0.25))) == 3
    assert len(set(losses(1.0))) == 1


def test_thresholds_leave_pairs_out_of_the_loss(tiny_bert: Path, tmp_path: Path) -> None:
    """With nothing moving, what lies below a threshold and what lies above it are all pairs."""

    def pairs(**params: Any) -> float:
        made = train_small(tiny_bert, tmp_path, params={"items_lr": 0.0, **params})
        return sum(made.series("train_pairs"))

    everything = pairs()
    far = pairs(min_abs_difference_threshold=0.1)
    near = pairs(max_abs_difference_threshold=0.1)
    assert 0 < near < everything
    assert 0 < far < everything
    assert near + far == everything
    assert pairs(max_abs_difference_threshold=None) == everything


def test_thresholds_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="must exceed"):
        FineTuningParams(min_abs_difference_threshold=0.5, max_abs_difference_threshold=0.5)


def test_examples_order_is_a_curriculum_over_the_epochs(tiny_bert: Path, tmp_path: Path) -> None:
    """Nothing moves: hard, medium and soft pairs come apart and add up, each in its own epochs."""

    def pairs_by_epoch(order: list[int]) -> list[float]:
        made = train_small(
            tiny_bert,
            tmp_path,
            params={"items_lr": 0.0, "examples_order": order},
            settings={"num_epochs": 4, "batch_size": 20, "test_each_n_inputs": 80},
        )
        return made.series("train_pairs")

    everything = pairs_by_epoch([11])
    assert len(set(everything)) == 1
    hard, medium, soft = pairs_by_epoch([4])[0], pairs_by_epoch([1])[0], pairs_by_epoch([7])[0]
    assert hard + medium + soft == everything[0]
    assert min(hard, medium, soft) > 0
    assert pairs_by_epoch([7, 4]) == [soft, soft, hard, hard]
    assert pairs_by_epoch([7, 1, 4, 11]) == [soft, medium, hard, everything[0]]


def test_codes_for_irrelevant_sessions_take_their_pairs_alone(tiny_bert: Path, tmp_path: Path) -> None:
    def pairs(code: int) -> float:
        module = build_small(
            tiny_bert,
            data=small_data(irrelevant=4),
            params={"items_lr": 0.0, "not_irrelevant_only": False, "examples_order": [code]},
            settings={"batch_size": 20},
        )
        return sum(fit_small(module, tmp_path).series("train_pairs"))

    assert 0 < pairs(10) < pairs(11)
    assert pairs(10) == pairs(3) + pairs(6) + pairs(9)
    assert pairs(11) - pairs(10) == pairs(2) + pairs(5) + pairs(8)
