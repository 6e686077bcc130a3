from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hft.training.pairs import ExamplesType, PairPlan, PairPlanner, stage_of_epoch
from hft.training.sessions import SessionArrays


def sessions_of(
    lists: list[tuple[int, list[int], list[float]]],
    *,
    irrelevant: list[bool] | None = None,
    query_keys: list[int] | None = None,
    item_keys: list[int] | None = None,
) -> SessionArrays:
    """Sessions from (query row, item rows, events)."""
    items = [row for _, rows, _ in lists for row in rows]
    num_items = max(items) + 1
    return SessionArrays(
        query_rows=np.array([query for query, _, _ in lists], dtype=np.int64),
        query_keys=np.array(query_keys or [query for query, _, _ in lists], dtype=np.int64),
        offsets=np.cumsum([0, *(len(rows) for _, rows, _ in lists)]).astype(np.int64),
        item_rows=np.array(items, dtype=np.int64),
        item_keys=np.array(item_keys or range(num_items), dtype=np.int64),
        events=np.array([event for _, _, events in lists for event in events], dtype=np.float32),
        confidences=np.linspace(0.1, 1.0, len(items)).astype(np.float32),
        is_irrelevant=np.array(irrelevant or [False] * len(lists)),
    )


def pairs_of(plan: PairPlan) -> set[tuple[int, int, int, int]]:
    """(positive's query, positive, negative's query, negative) as rows."""
    return {
        (
            int(plan.query_rows[plan.positive_query[i]]),
            int(plan.item_rows[plan.positive_item[i]]),
            int(plan.query_rows[plan.negative_query[i]]),
            int(plan.item_rows[plan.negative_item[i]]),
        )
        for i in range(len(plan))
    }


def plan_of(sessions: SessionArrays, rows: list[int] | None = None, seed: int = 0, **options: object) -> PairPlan:
    planner = PairPlanner(sessions, **{"negatives": "shown", **options})  # type: ignore[arg-type]
    chosen = np.arange(len(sessions)) if rows is None else np.array(rows)
    return planner.plan(chosen, np.random.default_rng(seed))


TWO = [(0, [0, 1, 2], [1.0, 0.0, 1.0]), (1, [3, 4], [0.0, 1.0])]


def test_every_positive_of_a_session_meets_every_shown_negative_of_it() -> None:
    assert pairs_of(plan_of(sessions_of(TWO))) == {(0, 0, 0, 1), (0, 2, 0, 1), (1, 4, 1, 3)}


def test_pairs_carry_the_confidences_of_their_two_results() -> None:
    sessions = sessions_of(TWO)
    plan = plan_of(sessions)
    for i in range(len(plan)):
        positive = int(plan.item_rows[plan.positive_item[i]])
        negative = int(plan.item_rows[plan.negative_item[i]])
        assert plan.positive_confidence[i] == sessions.confidences[positive]
        assert plan.negative_confidence[i] == sessions.confidences[negative]


def test_in_batch_negatives_are_the_picks_of_other_sessions() -> None:
    plan = plan_of(sessions_of(TWO), negatives="in_batch")
    assert pairs_of(plan) == {(0, 0, 0, 4), (0, 2, 0, 4), (1, 4, 1, 0), (1, 4, 1, 2)}


def test_in_batch_leaves_results_that_nobody_picked_out_of_the_batch() -> None:
    assert set(plan_of(sessions_of(TWO), negatives="in_batch").item_rows) == {0, 2, 4}


def test_both_joins_shown_and_in_batch_negatives_without_repeating_a_pair() -> None:
    plan = plan_of(sessions_of(TWO), negatives="both")
    expected = {(0, p, 0, n) for p in (0, 2) for n in (1, 3, 4)} | {(1, 4, 1, n) for n in (0, 1, 2, 3)}
    assert pairs_of(plan) == expected
    assert len(plan) == len(expected)


def test_an_item_picked_for_a_near_duplicate_query_is_no_negative() -> None:
    lists = [(0, [0, 1], [1.0, 0.0]), (1, [1, 2], [1.0, 0.0])]
    plan = plan_of(sessions_of(lists, query_keys=[7, 7]), negatives="both")
    assert all(negative not in (0, 1) for _, _, _, negative in pairs_of(plan))


def test_a_double_of_a_picked_item_is_no_negative() -> None:
    lists = [(0, [0, 1, 2], [1.0, 0.0, 0.0])]
    assert pairs_of(plan_of(sessions_of(lists, item_keys=[5, 5, 6]))) == {(0, 0, 0, 2)}


def test_positive_index_groups_the_pairs_of_one_positive() -> None:
    plan = plan_of(sessions_of(TWO), negatives="both")
    groups: dict[int, set[tuple[int, int]]] = {}
    for i in range(len(plan)):
        positive = (int(plan.positive_query[i]), int(plan.positive_item[i]))
        groups.setdefault(int(plan.positive_index[i]), set()).add(positive)
    assert sorted(groups) == [0, 1, 2]
    assert all(len(positives) == 1 for positives in groups.values())


def test_irrelevant_sessions_are_left_out_while_not_irrelevant_only() -> None:
    sessions = sessions_of([*TWO, (2, [0, 5], [0.0, 0.0])], irrelevant=[False, False, True])
    assert 2 not in PairPlanner(sessions, negatives="shown").usable_sessions()
    assert not plan_of(sessions).is_irrelevant.any()


def test_an_irrelevant_session_pairs_its_own_query_and_results_with_another_sessions_positives() -> None:
    sessions = sessions_of([TWO[1], (2, [0, 5], [0.0, 0.0])], irrelevant=[False, True])
    plan = plan_of(sessions, not_irrelevant_only=False)
    assert pairs_of(plan) == {(1, 4, 1, 3), (1, 4, 2, 0), (1, 4, 2, 5)}
    assert plan.is_irrelevant.sum() == 2


def test_the_partner_of_an_irrelevant_session_follows_the_seed() -> None:
    many = [(query, [2 * query, 2 * query + 1], [1.0, 0.0]) for query in range(30)]
    sessions = sessions_of([*many, (30, [60, 61], [0.0, 0.0])], irrelevant=[False] * 30 + [True])
    partners = [pairs_of(plan_of(sessions, seed=seed, not_irrelevant_only=False)) for seed in (1, 1, 2)]
    assert partners[0] == partners[1] != partners[2]


@pytest.mark.parametrize(("share", "kept"), [(0.01, 1), (0.25, 3), (0.5, 5), (0.51, 6), (1.0, 10)])
def test_negative_downsampling_keeps_the_share_rounded_up_and_at_least_one(share: float, kept: int) -> None:
    sessions = sessions_of([(0, list(range(11)), [1.0] + [0.0] * 10), (1, [11, 12], [1.0, 0.0])])
    plan = plan_of(sessions, negative_downsampling=share)
    assert sum(query == 0 for query, _, _, _ in pairs_of(plan)) == kept
    assert sum(query == 1 for query, _, _, _ in pairs_of(plan)) == 1


def test_negatives_are_drawn_anew_by_the_generator() -> None:
    sessions = sessions_of([(0, list(range(21)), [1.0] + [0.0] * 20)])
    draws = [frozenset(pairs_of(plan_of(sessions, seed=seed, negative_downsampling=0.5))) for seed in range(4)]
    assert len(set(draws)) == 4


def test_a_batch_without_a_pair_is_an_empty_plan() -> None:
    assert len(plan_of(sessions_of([(0, [0, 1], [1.0, 1.0])]))) == 0


@pytest.mark.parametrize(
    ("order", "epochs", "expected"),
    [
        ([11], 3, [11, 11, 11]),
        ([7, 1, 4], 3, [7, 1, 4]),
        ([7, 4], 4, [7, 7, 4, 4]),
        ([7, 4], 3, [7, 7, 4]),
        ([7, 1, 4], 2, [7, 1]),
    ],
)
def test_the_epochs_are_divided_evenly_among_the_codes(order: list[int], epochs: int, expected: list[int]) -> None:
    stages = [stage_of_epoch(order, epoch, epochs) for epoch in range(epochs)]
    assert stages == [ExamplesType(code) for code in expected]


def test_downsampling_counts_only_negatives_so_that_one_of_them_stays() -> None:
    """Of five results not picked here, four were picked for the same query elsewhere: the fifth is the negative."""
    lists = [(0, [0, 1, 2, 3, 4, 5], [1.0] + [0.0] * 5), (0, [1, 2, 3, 4], [1.0] * 4)]
    for seed in range(5):
        plan = plan_of(sessions_of(lists), rows=[0], seed=seed, negative_downsampling=0.2)
        assert pairs_of(plan) == {(0, 0, 0, 5)}


def test_what_downsampling_dropped_does_not_come_back_from_another_session_of_the_batch() -> None:
    shown = list(range(2, 12))
    lists = [(0, [0, *shown], [1.0] + [0.0] * 10), (1, [1, *shown], [1.0] + [0.0] * 10)]
    for seed in range(5):
        plan = plan_of(sessions_of(lists), seed=seed, negatives="both", negative_downsampling=0.2)
        for query in (0, 1):
            negatives = {negative for asked, _, _, negative in pairs_of(plan) if asked == query}
            assert len(negatives & set(shown)) == 2
            assert negatives - set(shown) == {1 - query}


@pytest.mark.parametrize("negatives", ["shown", "in_batch", "both"])
def test_a_plan_does_not_depend_on_how_far_apart_its_items_stand_in_the_data(negatives: str) -> None:
    rng = np.random.default_rng(0)
    shown = [rng.choice(30, size=6, replace=False).tolist() for _ in range(20)]
    events = [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]] * 20
    apart = 10_000
    near = plan_of(sessions_of([(n, items, events[n]) for n, items in enumerate(shown)]), negatives=negatives)
    far = plan_of(
        sessions_of([(n, [apart * item for item in items], events[n]) for n, items in enumerate(shown)]),
        negatives=negatives,
    )
    assert near.item_rows.tolist() == sorted(set(near.item_rows.tolist()))
    assert (apart * near.item_rows).tolist() == far.item_rows.tolist()
    for name in ("positive_query", "positive_item", "negative_query", "negative_item", "positive_index"):
        assert np.array_equal(getattr(near, name), getattr(far, name)), name


def test_a_sessions_weight_multiplies_the_confidences_of_its_results() -> None:
    sessions = sessions_of(TWO)
    weighted = replace(sessions, session_weights=np.array([0.5, 1.0], dtype=np.float32))
    before, after = plan_of(sessions), plan_of(weighted)
    of_first = before.query_rows[before.positive_query] == 0
    factor = np.where(of_first, np.float32(0.5), np.float32(1.0))
    assert after.positive_confidence.tolist() == (before.positive_confidence * factor).tolist()
    assert after.negative_confidence.tolist() == (before.negative_confidence * factor).tolist()
    called = replace(weighted, confidences=lambda events, offsets: np.full(len(events), 0.8, dtype=np.float32))
    assert set(plan_of(called).positive_confidence.tolist()) == {np.float32(0.4), np.float32(0.8)}
