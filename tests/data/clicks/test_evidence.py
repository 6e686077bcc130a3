"""What clicks are worth once a model has read them: weights, confidences, negatives."""

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
    UserBrowsingClicks,
    UserBrowsingModel,
)
from shown_lists import shown_lists


def one_list(*clicks: int) -> ClickLog:
    """A session of one query over items of its own."""
    flags = np.array(clicks, dtype=np.bool_)
    return ClickLog(flags, np.array([0, len(flags)]), np.zeros(1, dtype=np.int64), np.arange(len(flags)), len(flags))


def test_a_click_weighs_the_inverse_of_its_propensity_up_to_the_clip() -> None:
    log = one_list(1, 1, 0, 1)
    evidence = GivenPropensities([1.0, 0.5, 0.25, 0.05], clip=8.0).fit(log).evidence(log)
    assert evidence.weights.tolist() == pytest.approx([1.0, 2.0, 0.0, 8.0])
    assert evidence.weights.dtype == evidence.confidences.dtype == np.float32
    plain = GivenPropensities([1.0, 0.5, 0.25, 0.05], weighting="none").fit(log).evidence(log)
    assert plain.weights.tolist() == [1.0, 1.0, 0.0, 1.0]


def test_all_that_was_shown_may_be_a_negative_or_if_asked_nothing_below_the_last_examined_position() -> None:
    log = one_list(0, 0, 1, 0, 0)
    propensities = [1.0, 0.9, 0.2, 0.05, 0.01]
    evidence = GivenPropensities(propensities).fit(log).evidence(log)
    assert evidence.may_be_negative.tolist() == [True, True, False, True, True]
    assert evidence.confidences.tolist() == [1.0] * 5
    asked = GivenPropensities(propensities, unexamined_negatives=False).fit(log).evidence(log)
    assert asked.may_be_negative.tolist() == [True, True, False, False, False]


def test_without_a_click_what_was_probably_examined_may_be_a_negative() -> None:
    log = ClickLog(np.array([1, 0, 0, 0, 0, 0], dtype=bool), np.array([0, 3, 6]), np.zeros(2, int), np.arange(6), 6)
    evidence = GivenPropensities([1.0, 0.9, 0.01], unexamined_negatives=False).fit(log).evidence(log)
    assert evidence.may_be_negative.tolist() == [False, True, False, True, True, False]


def test_the_absence_of_a_click_is_believed_by_how_probably_the_result_was_examined() -> None:
    log = one_list(1, 0, 0, 0)
    confidences = GivenPropensities([1.0, 0.8, 0.4, 0.1], unexamined_negatives=False).fit(log).evidence(log).confidences
    assert confidences[0] == 1.0
    assert (np.diff(confidences) < 0).all()
    assert confidences.min() > 0


def test_pairwise_a_negative_is_believed_by_how_probably_it_does_not_attract() -> None:
    """P(A = 0 | C = 0) of results of one query, shown and clicked equally often: the less examined, the less sure."""
    shown = shown_lists(PositionBasedClicks(1.0, 0.8, 0.2), order="shuffled")
    evidence = PositionBasedModel(weighting="pairwise").fit(shown.log).evidence(shown.log)
    skipped = ~shown.log.clicks
    by_position = [
        evidence.confidences[skipped & (shown.grades > 0) & (shown.log.positions == place)].mean() for place in range(8)
    ]
    expected = [(1 - 0.8) / (1 - 0.8 / place) for place in range(1, 9)]
    assert by_position == pytest.approx(expected, abs=0.05)


def test_a_cascade_takes_what_is_above_its_click_as_seen_and_nothing_below() -> None:
    log = one_list(0, 0, 1, 0)
    evidence = CascadeModel(unexamined_negatives=False).fit(log).evidence(log)
    assert evidence.may_be_negative.tolist() == [True, True, False, False]
    assert evidence.confidences[:3].tolist() == [1.0, 1.0, 1.0]


def test_false_clicks_weigh_less_and_do_not_protect_a_result_from_being_a_negative() -> None:
    shown = shown_lists(PositionBasedClicks(0.5, 0.9, 0.1))
    model = PositionBasedModel(false_clicks=True).fit(shown.log)
    evidence, false = model.evidence(shown.log), shown.log.clicks & (shown.grades == 0)
    true = shown.log.clicks & (shown.grades > 0)
    assert evidence.weights[false].max() < 0.1 < evidence.weights[true].min()
    assert evidence.believed[true].all()
    assert not evidence.believed[false].any()
    assert evidence.may_be_negative[false].all()


@pytest.mark.parametrize(
    ("clicks", "model"),
    [
        (PositionBasedClicks(0.7, 0.6, 0.2), PositionBasedModel(clip=1e6)),
        (UserBrowsingClicks(0.3, 0.5, 0.6, 0.2), UserBrowsingModel(clip=1e6)),
        (CascadeClicks(0.3, 0.1), CascadeModel(clip=1e6)),
        (DynamicBayesianClicks(0.5, 0.2, 0.5, 0.2, 0.9), DynamicBayesianModel(clip=1e6)),
    ],
)
def test_weighted_clicks_are_as_frequent_everywhere_as_results_attract(clicks, model) -> None:
    """The inverse propensity estimate of attraction does not depend on the position, whoever clicks."""
    shown = shown_lists(clicks, order="shuffled", sessions=800)
    weights = model.fit(shown.log).evidence(shown.log).weights
    for relevant in (True, False):
        kind = (shown.grades > 0) == relevant
        by_position = np.array([weights[kind & (shown.log.positions == place)].mean() for place in range(8)])
        expected = clicks.click_probability if relevant else clicks.false_click_probability
        assert by_position == pytest.approx(np.full(8, expected), rel=0.15)
