"""Simulated people click as their model says, and judged lists are shown as they are asked to be."""

from __future__ import annotations

import numpy as np
import pytest

from hft.data import (
    BeirFolder,
    CascadeClicks,
    DynamicBayesianClicks,
    FineTuningInputs,
    ItemsSet,
    JudgedListSimulator,
    Labels,
    PositionBasedClicks,
    PythonDocs,
    SimulatedClicks,
    UserBrowsingClicks,
)
from hft.data.identity import identity_of
from hft.data.splitters import QuerySplitter
from small_collections import write_beir

SESSIONS = 20_000
GRADES = np.tile(np.array([0, 1, 0, 1, 1], dtype=np.float32), (SESSIONS, 1))


def drawn(clicks: SimulatedClicks) -> np.ndarray:
    return clicks.draw(GRADES, 1.0, np.random.default_rng(0))


def close_to(expected: float, count: int = SESSIONS):
    """Within 4 standard errors of a share of so many draws."""
    return pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / count))


def test_trust_adds_false_clicks_at_the_top() -> None:
    shares = drawn(PositionBasedClicks(1.0, 0.8, 0.1, trust=0.3)).mean(axis=0)
    expected = [0.4, 0.8 / 2, (0.1 + 0.1) / 3, 0.8 / 4, 0.8 / 5]
    assert [share == close_to(value) for share, value in zip(shares, expected, strict=True)] == [True] * 5


def test_a_cascade_clicks_once_at_most_and_where_its_formula_says() -> None:
    clicks = drawn(CascadeClicks(0.6, 0.2))
    assert clicks.sum(axis=1).max() == 1
    attraction = [0.2, 0.6, 0.2, 0.6, 0.6]
    reached = np.concatenate([[1.0], np.cumprod(1 - np.array(attraction))[:-1]])
    for share, value in zip(clicks.mean(axis=0), attraction * reached, strict=True):
        assert share == close_to(value)


def test_the_dynamic_bayesian_network_goes_on_as_its_formula_says() -> None:
    clicks = drawn(DynamicBayesianClicks(0.6, 0.2, 0.5, 0.1, 0.8))
    attraction = np.array([0.2, 0.6, 0.2, 0.6, 0.6])
    satisfies = np.array([0.1, 0.5, 0.1, 0.5, 0.5])
    reached = np.concatenate([[1.0], np.cumprod(0.8 * (1 - attraction * satisfies))[:-1]])
    for share, value in zip(clicks.mean(axis=0), attraction * reached, strict=True):
        assert share == close_to(value)


def test_user_browsing_looks_by_the_distance_to_the_last_click() -> None:
    clicks = drawn(UserBrowsingClicks(0.5, 1.0, 0.9, 0.3))
    after_click, after_none = clicks[clicks[:, 0], 1], clicks[~clicks[:, 0], 1]
    assert after_click.mean() == close_to(0.9 * 2**-0.5, len(after_click))
    assert after_none.mean() == close_to(0.9 * 2**-0.5 / 2, len(after_none))


def judged_inputs() -> FineTuningInputs:
    """Three queries; item 0 is relevant to all, item 1 to two of them, others to one or none."""
    items = ItemsSet.from_columns([f"i{row}" for row in range(6)], [f"text {row}" for row in range(6)])
    rows = np.array([4, 1, 0, 5, 0, 1, 2, 3, 0], dtype=np.int32)
    grades = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1], dtype=np.float32)
    return FineTuningInputs.from_columns(
        items,
        ["a", "b", "c"],
        ["query a", "query b", "query c"],
        offsets=np.zeros(4, dtype=np.int64),
        results=np.zeros(0, dtype=np.int32),
        events=np.zeros(0, dtype=np.float32),
        judgements=Labels(np.array([0, 3, 6, 9]), rows, grades),
    )


EVERYTHING = np.arange(6, dtype=np.int32)


def test_judged_lists_are_shown_by_popularity_in_every_session() -> None:
    shown = JudgedListSimulator(sessions_per_query=4)(judged_inputs(), EVERYTHING)
    lists = [session.results for session in shown]
    assert lists[:4] == [("i0", "i1", "i4")] * 4
    assert lists[4:8] == [("i0", "i1", "i5")] * 4
    assert lists[8:] == [("i0", "i2", "i3")] * 4
    assert shown.session_ids[:2] == ["a/0", "a/1"]
    assert shown.table.column("batch_id").null_count == len(shown)


def test_a_share_of_the_sessions_is_shuffled_and_carries_a_batch_id() -> None:
    shown = JudgedListSimulator(sessions_per_query=400, shuffled_share=0.25)(judged_inputs(), EVERYTHING)
    batches = shown.table.column("batch_id").to_pylist()
    shuffled = [session.results for session, batch in zip(shown, batches, strict=True) if batch == "shuffled"]
    assert len(shuffled) / len(shown) == close_to(0.25, len(shown))
    assert len({results for results in shuffled if set(results) == {"i0", "i1", "i4"}}) == 6
    assert {session.results for session, batch in zip(shown, batches, strict=True) if batch is None} == {
        ("i0", "i1", "i4"),
        ("i0", "i1", "i5"),
        ("i0", "i2", "i3"),
    }


def test_judged_lists_are_shown_whole_and_draw_clicks_by_known_relevance() -> None:
    never_false = PositionBasedClicks(0.0, 1.0, 0.0)
    shown = JudgedListSimulator(never_false, sessions_per_query=2)(judged_inputs(), np.array([0, 3], dtype=np.int32))
    assert np.diff(shown.offsets).tolist() == [3] * 6
    assert shown.flat_events.tolist() == shown.shown_gains().tolist()


def test_the_seed_decides_the_draws() -> None:
    tables = [JudgedListSimulator(seed=seed)(judged_inputs(), EVERYTHING).table for seed in (1, 1, 2)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


class _Own(SimulatedClicks):
    def draw(self, grades, highest, rng):
        return grades > 0

    def describe(self) -> str:
        return "mine"


_Own.__module__ = "my_clicks"


def test_a_simulator_decides_the_data_and_of_somebody_elses_nothing_is_kept(tmp_path) -> None:
    write_beir(tmp_path)
    splitter = QuerySplitter()
    plain, cascade = (BeirFolder(tmp_path, clicks=clicks) for clicks in (None, CascadeClicks()))
    assert identity_of(plain, splitter).options != identity_of(cascade, splitter).options
    assert identity_of(BeirFolder(tmp_path, clicks=_Own()), splitter) is None
    assert identity_of(PythonDocs(clicks=_Own(), folder=tmp_path), splitter) is None
