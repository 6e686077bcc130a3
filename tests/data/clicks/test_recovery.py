"""A click model fitted on simulated clicks finds the simulator's parameters, and says where a log cannot tell."""

from __future__ import annotations

import numpy as np
import pytest

from hft.data import (
    CascadeClicks,
    CascadeModel,
    ClickLog,
    DynamicBayesianClicks,
    DynamicBayesianModel,
    GivenPropensities,
    PositionBasedClicks,
    PositionBasedModel,
    RandomisedPropensities,
    UserBrowsingClicks,
    UserBrowsingModel,
)
from hft.data.clicks.log import first_positions, position_classes
from hft.errors import DataError
from shown_lists import shown_lists

POSITIONS = np.arange(1, 9)


@pytest.mark.parametrize("order", ["swapped", "shuffled"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_position_based_examination_is_recovered_within_a_tenth(order: str, eta: float) -> None:
    shown = shown_lists(PositionBasedClicks(eta, 0.8, 0.1), order=order)
    fitted = PositionBasedModel().fit(shown.log).read(shown.log)
    found = fitted.propensities[:8] / fitted.propensities[0]
    assert found == pytest.approx(POSITIONS**-eta, rel=0.1)


def test_examination_is_recovered_from_two_impressions_a_result() -> None:
    """Attraction drops out of the fit: with maximum likelihood of both together, so few impressions would bias it."""
    shown = shown_lists(PositionBasedClicks(0.7, 0.9, 0.2), queries=15_000, sessions=2)
    fitted = PositionBasedModel().fit(shown.log).read(shown.log)
    assert fitted.propensities[:8] == pytest.approx(POSITIONS**-0.7, rel=0.1)


def test_false_clicks_are_recovered_and_told_from_true_ones() -> None:
    shown = shown_lists(PositionBasedClicks(0.7, 0.8, 0.1))
    fitted = PositionBasedModel(false_clicks=True).fit(shown.log)
    assert fitted.model.if_relevant == pytest.approx(0.8 * POSITIONS**-0.7, rel=0.1)
    assert fitted.model.if_not == pytest.approx(0.1 * POSITIONS**-0.7, rel=0.15)
    truth = fitted.read(shown.log).truth
    assert truth[shown.grades > 0].mean() > 0.99
    assert truth[shown.grades == 0].mean() < 0.01


def test_trust_bias_is_recovered() -> None:
    shown = shown_lists(PositionBasedClicks(0.7, 0.8, 0.1, trust=0.3))
    fitted = PositionBasedModel(trust_bias=True).fit(shown.log)
    assert fitted.model.if_relevant == pytest.approx(0.8 * POSITIONS**-0.7, rel=0.1)
    assert fitted.model.if_not == pytest.approx((0.1 + 0.3 / POSITIONS) * POSITIONS**-0.7, rel=0.15)


def test_cascade_attraction_is_recovered() -> None:
    shown = shown_lists(CascadeClicks(0.6, 0.1), order="shuffled")
    attraction = CascadeModel().fit(shown.log).model.attraction.of(shown.log)
    for relevant, expected in ((True, 0.6), (False, 0.1)):
        found = attraction[(shown.grades > 0) == relevant]
        assert found.mean() == pytest.approx(expected, abs=0.02)
        assert np.abs(found - expected).max() < 0.15


def cut(log: ClickLog, share: float, *, knows: bool) -> ClickLog:
    """The log cut to a share of the items, which knows where results stood or does not."""
    kept = np.random.default_rng(5).random(log.num_items)[log.items] < share
    offsets = np.concatenate([[0], np.cumsum(np.add.reduceat(kept.astype(np.int64), log.offsets[:-1]))])
    at = log.positions[kept] if knows else None
    return ClickLog(log.clicks[kept], offsets, log.queries, log.items[kept], log.num_items, None, at)


def test_examination_is_that_of_positions_as_shown_where_lists_were_cut() -> None:
    """To half the items, as a splitter by item cuts lists; positions that are counted anew seem to be seen less."""
    log = shown_lists(PositionBasedClicks(1.0, 0.8, 0.1), order="shuffled").log
    knows, anew = (PositionBasedModel().fit(cut(log, 0.5, knows=knows)).examination(6) for knows in (True, False))
    assert knows == pytest.approx(1 / POSITIONS[:6], rel=0.1)
    assert (anew * POSITIONS[:6]).min() < 0.9


def test_a_log_that_was_cut_knows_the_last_click_by_its_position_and_parts_of_it_do_too() -> None:
    log = ClickLog(
        np.array([0, 1, 0, 0, 1, 0], dtype=bool), np.array([0, 3, 6]), np.arange(2), np.arange(6), 6, None,
        np.array([1, 4, 7, 0, 2, 3], dtype=np.int32),
    )  # fmt: skip
    assert log.last_clicks.tolist() == [-1, -1, 4, -1, -1, 2]
    assert log.select(np.array([False, True])).positions.tolist() == [0, 2, 3]
    assert log.followed_by(log.select(np.array([True, False]))).positions.tolist() == [1, 4, 7, 0, 2, 3, 1, 4, 7]


@pytest.mark.parametrize("model", [CascadeModel(), DynamicBayesianModel(perseverance=0.8), DynamicBayesianModel()])
def test_models_of_the_way_down_a_list_take_what_is_left_of_it(model) -> None:
    log = shown_lists(DynamicBayesianClicks(0.7, 0.2, 0.6, 0.2, 0.8), order="shuffled").log
    knows, counts_anew = (model.fit(cut(log, 0.8, knows=knows)) for knows in (True, False))
    logs = cut(log, 0.8, knows=True), cut(log, 0.8, knows=False)
    assert knows.read(logs[0]).propensities == pytest.approx(counts_anew.read(logs[1]).propensities)


@pytest.mark.parametrize("order", ["swapped", "shuffled"])
def test_the_dynamic_bayesian_network_is_recovered(order: str) -> None:
    shown = shown_lists(DynamicBayesianClicks(0.7, 0.2, 0.6, 0.2, 0.8), order=order, sessions=600, queries=40)
    fitted = DynamicBayesianModel().fit(shown.log).model
    assert fitted.perseverance == pytest.approx(0.8, abs=0.02)
    for relevant, attraction, satisfaction in ((True, 0.7, 0.6), (False, 0.2, 0.2)):
        of_kind = (shown.grades > 0) == relevant
        assert fitted.attraction.of(shown.log)[of_kind].mean() == pytest.approx(attraction, abs=0.04)
        # Of clicks: what is never clicked says nothing of satisfaction, nor does the end of a list.
        clicked = of_kind & shown.log.clicks & (shown.log.positions < 5)
        assert fitted.satisfaction.of(shown.log)[clicked].mean() == pytest.approx(satisfaction, abs=0.06)


def test_a_given_perseverance_stays_and_needs_no_swaps() -> None:
    shown = shown_lists(DynamicBayesianClicks(0.7, 0.2, 0.6, 0.2, 1.0), order="fixed")
    fitted = DynamicBayesianModel(perseverance=1.0).fit(shown.log).model
    assert fitted.perseverance == 1.0
    top = (shown.grades > 0) & (shown.log.positions < 3)
    assert fitted.attraction.of(shown.log)[top].mean() == pytest.approx(0.7, abs=0.03)


def test_user_browsing_examination_is_recovered() -> None:
    shown = shown_lists(UserBrowsingClicks(0.3, 0.5, 0.8, 0.1), order="shuffled", sessions=1000)
    propensities = UserBrowsingModel().fit(shown.log).read(shown.log).propensities
    distance = shown.log.positions - shown.log.last_clicks
    expected = (shown.log.positions + 1.0) ** -0.3 * distance**-0.5
    assert propensities / propensities[0] == pytest.approx(expected, rel=0.2)
    assert np.abs(propensities / propensities[0] - expected).mean() < 0.02


def test_a_batch_in_random_order_tells_the_propensities() -> None:
    fixed = shown_lists(PositionBasedClicks(0.7, 0.8, 0.1), order="fixed", sessions=50)
    random = shown_lists(PositionBasedClicks(0.7, 0.8, 0.1), order="shuffled", sessions=200)
    log = joined(fixed.log, random.log, ("live", "random"))
    found = RandomisedPropensities("random").fit(log).read(log).propensities[:8]
    assert found == pytest.approx(POSITIONS**-0.7, rel=0.1)


def joined(first: ClickLog, second: ClickLog, batches: tuple[str, str]) -> ClickLog:
    return ClickLog(
        np.concatenate([first.clicks, second.clicks]),
        np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]]),
        np.concatenate([first.queries, second.queries]),
        np.concatenate([first.items, second.items]),
        first.num_items,
        (batches[0],) * len(first) + (batches[1],) * len(second),
    )


def test_given_propensities_are_taken_as_they_are() -> None:
    log = shown_lists(PositionBasedClicks(), order="fixed", queries=3, sessions=5).log
    assert GivenPropensities([0.8, 0.4, 0.2]).fit(log).read(log).propensities[:8] == pytest.approx(
        [1, 0.5] + [0.25] * 6
    )
    assert GivenPropensities(eta=1.0).fit(log).read(log).propensities[:8] == pytest.approx(1 / POSITIONS)


@pytest.mark.parametrize("false_clicks", [False, True])
def test_given_propensities_hold_for_lists_longer_than_those_of_training(false_clicks: bool) -> None:
    """Given for ten places, fitted on lists of five, read on lists of ten."""
    short = shown_lists(PositionBasedClicks(1.0), order="fixed", sessions=30, length=5).log
    long = shown_lists(PositionBasedClicks(1.0), order="fixed", queries=3, sessions=30, length=10).log
    places = np.arange(1, 11)
    for given in ({"propensities": [1 / place for place in places]}, {"eta": 1.0}):
        fitted = GivenPropensities(**given, false_clicks=false_clicks).fit(short)
        assert fitted.read(long).propensities[:10] == pytest.approx(1 / places)
        assert fitted.examination(10) == pytest.approx(1 / places)
    few = GivenPropensities([1.0, 0.5], false_clicks=false_clicks).fit(short)
    assert few.examination(10) == pytest.approx([1.0] + [0.5] * 9)


def test_a_class_of_deep_positions_has_the_value_of_its_first() -> None:
    log = shown_lists(PositionBasedClicks(), order="fixed", queries=3, sessions=5).log
    found = GivenPropensities(eta=1.0).fit(log).examination(5000)
    assert found[:32] == pytest.approx(1 / np.arange(1, 33))
    assert found == pytest.approx(1 / np.arange(1, 5001), rel=0.1)
    assert (found >= 1 / np.arange(1, 5001) - 1e-12).all()
    assert position_classes(first_positions(150)).tolist() == list(range(150))
    assert position_classes(first_positions(150)[1:] - 1).tolist() == list(range(149))


# Logs that cannot tell


@pytest.mark.parametrize(
    "model", [PositionBasedModel(), PositionBasedModel(false_clicks=True), UserBrowsingModel(), DynamicBayesianModel()]
)
def test_a_log_whose_lists_never_change_is_refused(model) -> None:
    log = shown_lists(PositionBasedClicks(), order="fixed").log
    with pytest.raises(DataError, match=r"cannot tell .* no clicked result ever changes its position") as raised:
        model.fit(log)
    assert "data/clicks=given" in str(raised.value)


def test_positions_that_no_swap_links_are_refused() -> None:
    """The upper half is swapped within itself, the lower half likewise: their relation is unknown."""
    shown = shown_lists(PositionBasedClicks(0.5, 0.8, 0.2), order="fixed")
    items = shown.log.items.reshape(-1, 8).copy()
    items[::2, :4], items[::2, 4:] = items[::2, 3::-1], items[::2, :3:-1]
    log = ClickLog(shown.log.clicks, shown.log.offsets, shown.log.queries, items.ravel(), shown.log.num_items)
    with pytest.raises(DataError, match="are never linked to the others"):
        PositionBasedModel().fit(log)


def test_a_log_without_clicks_is_refused() -> None:
    log = shown_lists(PositionBasedClicks(), queries=2, sessions=2).log
    none = ClickLog(np.zeros_like(log.clicks), log.offsets, log.queries, log.items, log.num_items)
    with pytest.raises(DataError, match="none of the 4 training sessions has a click"):
        CascadeModel().fit(none)


def test_false_clicks_need_several_impressions() -> None:
    log = shown_lists(PositionBasedClicks(), queries=50, sessions=1).log
    with pytest.raises(DataError, match=r"shown 1.0 times for its query on average"):
        GivenPropensities(false_clicks=True).fit(log)


def test_an_unknown_or_poor_batch_is_refused() -> None:
    log = shown_lists(PositionBasedClicks(), queries=2, sessions=2).log
    with pytest.raises(DataError, match=r"data.clicks.bucket=random: no training session .* Found: none"):
        RandomisedPropensities("random").fit(log)
    named = ClickLog(log.clicks, log.offsets, log.queries, log.items, log.num_items, ("a",) * 4)
    with pytest.raises(DataError, match="Found: a"):
        RandomisedPropensities("random").fit(named)
    with pytest.raises(DataError, match="too few to tell"):
        RandomisedPropensities("a").fit(named)


def test_a_cascade_says_where_sessions_contradict_it() -> None:
    log = shown_lists(PositionBasedClicks(0.2, 0.9, 0.3)).log
    assert any("which a cascade cannot explain" in note for note in CascadeModel().fit(log).notes)


def test_lists_of_any_length_are_fitted() -> None:
    """Deep positions share classes; one list of 10,000 results among short ones is no trouble."""
    rng = np.random.default_rng(0)
    lengths = np.concatenate([[10_000, 1, 0], rng.integers(2, 40, 3000)])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    positions = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    clicks = rng.random(offsets[-1]) < 0.3 / (positions + 1.0) ** 0.5
    log = ClickLog(clicks, offsets, np.arange(len(lengths)) % 20, rng.integers(0, 40, offsets[-1]), 40)
    for model in (PositionBasedModel(), UserBrowsingModel(), DynamicBayesianModel(), CascadeModel()):
        reading = model.fit(log).read(log)
        assert ((reading.propensities > 0) & (reading.propensities <= 1)).all()
        assert ((reading.examined >= 0) & (reading.examined <= 1 + 1e-9)).all()
