"""Weights of clicks on their way to the loss: with oracle propensities it is the loss of full information."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hft.data import ClickLog, PositionBasedClicks, Reading
from hft.data.clicks.evidence import Weigher
from hft.losses import FineTuningLoss, InfoNCELoss, MarginRankingLoss, ProbMarginRankingLoss
from hft.models import CosineRanker
from hft.training import PairPlanner, SessionArrays
from hft.training.batching import PairTensors
from hft.training.ranks import pair_features
from tolerances import rounding

QUERIES, SESSIONS, LENGTH, ETA = 25, 60, 6, 1.0
LOGS = 40


def world(seed: int = 0) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """(`float32[queries, positions]` relevance by the shown order, vectors of queries, vectors of items)."""
    rng = np.random.default_rng(seed)
    grades = (rng.random((QUERIES, LENGTH)) < 0.3).astype(np.float32)
    grades[np.arange(QUERIES), rng.integers(LENGTH, size=QUERIES)] = 1.0
    grades[np.arange(QUERIES), rng.integers(LENGTH, size=QUERIES)] = 0.0
    grades[grades.sum(axis=1) == 0, 2] = 1.0
    vectors = rng.standard_normal((QUERIES + QUERIES * LENGTH, 8)).astype(np.float32)
    return grades, torch.from_numpy(vectors[:QUERIES]), torch.from_numpy(vectors[QUERIES:])


def sessions_of(events: np.ndarray, repeat: int) -> SessionArrays:
    """`repeat` sessions of each query over its own items, in one order."""
    query = np.repeat(np.arange(QUERIES), repeat)
    items = np.arange(QUERIES * LENGTH).reshape(QUERIES, LENGTH)[query].ravel()
    return SessionArrays(
        query_rows=query,
        query_keys=query,
        offsets=np.arange(len(query) + 1, dtype=np.int64) * LENGTH,
        item_rows=items,
        item_keys=np.arange(QUERIES * LENGTH),
        events=events.astype(np.float32).ravel(),
        confidences=np.ones(events.size, dtype=np.float32),
        is_irrelevant=np.zeros(len(query), dtype=np.bool_),
    )


def loss_of(sessions: SessionArrays, loss: FineTuningLoss, negatives: str, queries, items) -> float:
    planner = PairPlanner(sessions, negatives=negatives)  # type: ignore[arg-type]
    plan = planner.plan(planner.usable_sessions(), np.random.default_rng(0))
    features = pair_features(
        CosineRanker(),
        queries[torch.from_numpy(plan.query_rows)].double(),
        items[torch.from_numpy(plan.item_rows)].double(),
        PairTensors.of(plan),
        sign=1.0,
        margin=0.2,
    )
    return float(loss(features))


def clicked(grades: np.ndarray, false_clicks: float, rng: np.random.Generator) -> np.ndarray:
    shown = np.repeat(grades, SESSIONS, axis=0)
    return PositionBasedClicks(ETA, 0.9, false_clicks).draw(shown, 1.0, rng)


def with_oracle(sessions: SessionArrays, grades: np.ndarray, eta: float = ETA) -> SessionArrays:
    """The sessions as somebody reads them who knows relevance, and propensities of 1 / position^eta."""
    relevant = np.repeat(grades, SESSIONS, axis=0).ravel().astype(np.float64)
    log = ClickLog(
        sessions.events > 0, sessions.offsets, sessions.query_keys, sessions.item_rows, len(sessions.item_keys)
    )
    propensities = (log.positions + 1.0) ** -eta
    reading = Reading(propensities, propensities, 1.0 - relevant, relevant)
    evidence = Weigher("ips", 100.0, True)(log, reading)
    return replace(
        sessions,
        confidences=evidence.confidences,
        weights=evidence.weights,
        believed=evidence.believed,
        may_be_negative=evidence.may_be_negative,
    )


@pytest.mark.parametrize("false_clicks", [0.0, 0.2])
@pytest.mark.parametrize("negatives", ["shown", "in_batch"])
@pytest.mark.parametrize("loss", [InfoNCELoss(0.2), MarginRankingLoss(), ProbMarginRankingLoss(5.0)])
def test_with_oracle_propensities_the_loss_is_that_of_full_information_in_expectation(loss, negatives, false_clicks):
    """Within 3 standard errors over simulated logs; without the propensities it is further off."""
    grades, queries, items = world()
    full = loss_of(sessions_of(grades, 1), loss, negatives, queries, items)
    rng = np.random.default_rng(1)
    unweighted, weighted = [], []
    for _ in range(LOGS):
        sessions = sessions_of(clicked(grades, false_clicks, rng), SESSIONS)
        unweighted.append(loss_of(with_oracle(sessions, grades, 0.0), loss, negatives, queries, items))
        weighted.append(loss_of(with_oracle(sessions, grades), loss, negatives, queries, items))
    error = np.std(weighted) / np.sqrt(LOGS)
    assert abs(np.mean(weighted) - full) < 3 * error
    assert abs(np.mean(unweighted) - full) > 3 * np.std(unweighted) / np.sqrt(LOGS)


# A session of five results: a true click, a click that is not believed, three that were passed over.


def one_session(**changes: object) -> SessionArrays:
    sessions = SessionArrays(
        query_rows=np.array([0, 1]),
        query_keys=np.array([0, 1]),
        offsets=np.array([0, 5, 7]),
        item_rows=np.array([0, 1, 2, 3, 4, 5, 6]),
        item_keys=np.arange(7),
        events=np.array([1, 1, 0, 0, 0, 1, 0], dtype=np.float32),
        confidences=np.ones(7, dtype=np.float32),
        is_irrelevant=np.zeros(2, dtype=np.bool_),
        weights=np.array([4, 0.5, 0, 0, 0, 1, 0], dtype=np.float32),
        believed=np.array([1, 0, 0, 0, 0, 1, 0], dtype=np.bool_),
        may_be_negative=np.array([0, 1, 1, 1, 0, 0, 1], dtype=np.bool_),
    )
    return replace(sessions, **changes)  # type: ignore[arg-type]


def pairs_of(sessions: SessionArrays, negatives: str) -> set[tuple[int, int]]:
    planner = PairPlanner(sessions, negatives=negatives)  # type: ignore[arg-type]
    plan = planner.plan(np.array([0, 1]), np.random.default_rng(0))
    return set(
        zip(plan.item_rows[plan.positive_item].tolist(), plan.item_rows[plan.negative_item].tolist(), strict=True)
    )


def test_what_may_not_be_a_negative_is_none_and_a_click_that_is_not_believed_is() -> None:
    assert pairs_of(one_session(), "shown") == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (5, 6)}


def test_in_the_batch_no_result_is_its_own_negative() -> None:
    assert pairs_of(one_session(), "in_batch") == {(0, 1), (0, 5), (1, 5), (5, 0), (5, 1)}


def test_a_click_without_weight_is_no_positive() -> None:
    none = np.array([4, 0, 0, 0, 0, 0, 0], dtype=np.float32)
    sessions = one_session(weights=none)
    assert pairs_of(sessions, "shown") == {(0, 1), (0, 2), (0, 3)}
    assert PairPlanner(sessions, negatives="shown").usable_sessions().tolist() == [0]


@pytest.mark.parametrize("negatives", ["shown", "in_batch", "both"])
def test_every_pair_carries_the_weight_of_its_positive(negatives: str) -> None:
    planner = PairPlanner(one_session(), negatives=negatives)  # type: ignore[arg-type]
    plan = planner.plan(np.array([0, 1]), np.random.default_rng(0))
    expected = {0: 4.0, 1: 0.5, 5: 1.0}
    assert plan.weight is not None
    assert plan.weight.tolist() == [expected[item] for item in plan.item_rows[plan.positive_item].tolist()]
    pairs = PairTensors.of(plan)
    assert pairs.to("cpu").weight is not None


def test_without_weights_a_plan_has_none() -> None:
    sessions = one_session(weights=None, believed=None, may_be_negative=None)
    plan = PairPlanner(sessions, negatives="both").plan(np.array([0, 1]), np.random.default_rng(0))
    assert plan.weight is None
    assert PairTensors.of(plan).to("cpu").weight is None


# Weights of events: a click weighs 1, a purchase 10.


def of_events(*weights: float, **changes: object) -> SessionArrays:
    """The session of five results and that of two, with events of these weights on results 0, 1 and 5."""
    events = np.zeros(7, dtype=np.float32)
    events[[0, 1, 5]] = weights
    none = {"weights": None, "believed": None, "may_be_negative": None}
    return one_session(**{**none, "events": events, **changes})


@pytest.mark.parametrize("negatives", ["shown", "in_batch", "both"])
def test_a_positive_counts_as_its_event_weighs_over_the_unit(negatives: str) -> None:
    planner = PairPlanner(of_events(1, 10, 1, event_unit=4.0), negatives=negatives)  # type: ignore[arg-type]
    plan = planner.plan(np.array([0, 1]), np.random.default_rng(0))
    expected = {0: 0.25, 1: 2.5, 5: 0.25}
    assert plan.weight is not None
    assert plan.weight.tolist() == [expected[item] for item in plan.item_rows[plan.positive_item].tolist()]


def test_the_weight_of_an_event_multiplies_what_a_click_model_says_of_it() -> None:
    weights = np.array([4, 0.5, 0, 0, 0, 1, 0], dtype=np.float32)
    sessions = of_events(1, 10, 1, event_unit=4.0, weights=weights)
    assert sessions.weights_of(np.array([0, 1, 5])).tolist() == [1.0, 1.25, 0.25]


@pytest.mark.parametrize("loss", [InfoNCELoss(0.2), MarginRankingLoss(), ProbMarginRankingLoss(5.0)])
def test_a_purchase_counts_in_the_loss_as_so_many_clicks(loss) -> None:
    """The loss is the mean over the positives, weighed by their events; a common factor of all changes nothing."""
    vectors = torch.from_numpy(np.random.default_rng(3).standard_normal((9, 8)).astype(np.float32))

    def value(weights: tuple[float, ...], unit: float | None) -> float:
        return loss_of(of_events(*weights, event_unit=unit), loss, "shown", vectors[:2], vectors[2:])

    bought_first, bought_second, clicked = value((10, 1, 1), 4.0), value((1, 10, 1), 4.0), value((1, 1, 1), None)
    assert len({bought_first, bought_second, clicked}) == 3
    assert value((10, 1, 1), 40.0) == pytest.approx(bought_first, rel=5 * rounding(terms=9, sums=3))
    assert value((10, 10, 10), 10.0) == pytest.approx(clicked, rel=5 * rounding(terms=9, sums=3))
    # All of the weight on one positive is the loss of that one alone.
    nearly = value((1e6, 1.0, 1.0), 1e5)
    alone = one_session(weights=np.array([1, 0, 0, 0, 0, 0, 0], dtype=np.float32), believed=None, may_be_negative=None)
    assert nearly == pytest.approx(loss_of(alone, loss, "shown", vectors[:2], vectors[2:]), rel=1e-4)
