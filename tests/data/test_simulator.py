from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hft.data import ClickSimulator, FineTuningInputs, ItemsSet, JudgedListSimulator, Labels, PositionBasedClicks
from hft.data.bm25 import BM25
from hft.data.simulator import SHUFFLED_BATCH

WORDS = [f"word{number}" for number in range(19)]


def collection(queries: int, relevant_each: int = 1) -> FineTuningInputs:
    """Items of three drawn words each; query n has the words of item n, which is relevant to it."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 3, replace=False)) for _ in range(max(queries, 60))]
    items = ItemsSet.from_columns([f"item{row}" for row in range(len(texts))], texts)
    rows = (np.arange(queries)[:, None] + np.arange(relevant_each)) % queries
    return FineTuningInputs.from_columns(
        items,
        [f"q{row}" for row in range(queries)],
        texts[:queries],
        offsets=np.zeros(queries + 1, dtype=np.int64),
        results=np.zeros(0, dtype=np.int32),
        events=np.zeros(0, dtype=np.float32),
        judgements=Labels(
            np.arange(queries + 1, dtype=np.int64) * relevant_each,
            rows.ravel().astype(np.int32),
            np.ones(queries * relevant_each, dtype=np.float32),
        ),
    )


def everything(inputs: FineTuningInputs) -> np.ndarray:
    return np.arange(len(inputs.items), dtype=np.int32)


def test_relevant_items_are_among_those_shown_and_none_twice() -> None:
    inputs = collection(50, relevant_each=3)
    shown = ClickSimulator(inputs.items, results_per_session=5, noise=1.0)(inputs, everything(inputs))
    assert len(shown) == 100
    lists = shown.flat_results.reshape(100, 5)
    assert all(len(set(row)) == 5 for row in lists.tolist())
    assert shown.shown_gains().reshape(100, 5).sum(axis=1).tolist() == [3.0] * 100


def test_only_allowed_items_are_shown() -> None:
    inputs = collection(30)
    allowed = np.arange(30, dtype=np.int32)
    shown = ClickSimulator(inputs.items, results_per_session=10)(inputs, allowed)
    assert set(shown.flat_results.tolist()) <= set(range(30))


def test_more_relevant_items_than_places_fill_the_list() -> None:
    inputs = collection(30, relevant_each=6)
    shown = ClickSimulator(inputs.items, results_per_session=4)(inputs, everything(inputs))
    assert shown.shown_gains().tolist() == [1.0] * len(shown.flat_results)


def test_a_query_has_several_sessions_that_differ() -> None:
    inputs = collection(20)
    shown = ClickSimulator(inputs.items, sessions_per_query=3, noise=0.5)(inputs, everything(inputs))
    assert shown.session_ids[:3] == ["q0/0", "q0/1", "q0/2"]
    assert shown.queries[:3] == [inputs.queries[0]] * 3
    assert len({tuple(shown[row].results) for row in range(3)}) == 3
    once = ClickSimulator(inputs.items, sessions_per_query=3)(inputs, everything(inputs), 1)
    assert once.session_ids == inputs.session_ids


def test_the_seed_decides_everything() -> None:
    inputs = collection(20)
    tables = [ClickSimulator(inputs.items, seed=seed)(inputs, everything(inputs)).table for seed in (1, 1, 2)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_without_noise_the_list_is_the_rankers() -> None:
    inputs = collection(20)
    shown = ClickSimulator(inputs.items, sessions_per_query=1, noise=0.0, results_per_session=5)(
        inputs, everything(inputs)
    )
    _, scores = next(BM25(inputs.items.texts).scores(inputs.queries, everything(inputs)))
    found = np.take_along_axis(scores, shown.flat_results.reshape(20, 5), axis=1)
    assert found[:, 0] == pytest.approx(scores.max(axis=1))
    assert (np.diff(found, axis=1) <= 1e-5).all()


def test_clicks_follow_the_position_based_model() -> None:
    """Shares of clicks by position equal examination times attraction, within 4 standard errors."""
    inputs = collection(60)
    clicks = PositionBasedClicks(eta=1.0, click_probability=0.8, false_click_probability=0.1)
    simulator = ClickSimulator(inputs.items, clicks, results_per_session=5, sessions_per_query=200, noise=3.0)
    shown = simulator(inputs, everything(inputs))
    events = shown.flat_events.reshape(-1, 5)
    relevant = shown.shown_gains().reshape(-1, 5) > 0
    for position in range(5):
        for kind, attraction in ((True, 0.8), (False, 0.1)):
            drawn = events[relevant[:, position] == kind, position]
            expected = attraction / (position + 1)
            assert drawn.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / len(drawn)))


def test_without_false_clicks_only_relevant_items_are_clicked() -> None:
    inputs = collection(60)
    clicks = PositionBasedClicks(eta=0.0, click_probability=1.0, false_click_probability=0.0)
    shown = ClickSimulator(inputs.items, clicks)(inputs, everything(inputs))
    assert np.array_equal(shown.flat_events, shown.shown_gains())


def test_a_higher_grade_draws_more_clicks() -> None:
    attraction = PositionBasedClicks(0.5, 0.9, 0.1).attraction(np.array([0, 1, 2], dtype=np.float32), 2.0)
    assert attraction.tolist() == pytest.approx([0.1, 0.1 + 0.8 / 3, 0.9])


def test_bm25_equals_its_formula() -> None:
    texts = ["apple apple pear", "apple plum", "cherry"]
    _, scores = next(BM25(texts, k1=1.2, b=0.75).scores(["apple cherries"], np.arange(3, dtype=np.int32)))
    idf_apple, idf_cherry = np.log(1 + 1.5 / 2.5), np.log(1 + 2.5 / 1.5)
    norm = [1.2 * (0.25 + 0.75 * length / 2) for length in (3, 2, 1)]
    expected = [idf_apple * 2 * 2.2 / (2 + norm[0]), idf_apple * 2.2 / (1 + norm[1]), idf_cherry * 2.2 / (1 + norm[2])]
    assert scores[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_sessions_that_are_not_shuffled_keep_their_batches(make_inputs: Any) -> None:
    queries = [(f"q{number}", "", []) for number in range(40)]
    batches = [None if number % 4 == 0 else f"month {number % 2}" for number in range(40)]
    inputs = make_inputs(queries, judged=[{"a": 1.0, "b": 0.0, "c": 0.0}] * 40, batch_id=batches)
    simulator = JudgedListSimulator(shuffled_share=0.3, sessions_per_query=5)
    found = simulator(inputs, np.arange(6, dtype=np.int32)).table.column("batch_id").to_pylist()
    own = [batch for batch in batches for _ in range(5)]
    kept = [(batch, before) for batch, before in zip(found, own, strict=True) if batch != SHUFFLED_BATCH]
    assert 0 < len(kept) < 200
    assert all(batch == before for batch, before in kept)
