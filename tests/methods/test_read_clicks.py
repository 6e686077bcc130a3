"""What a click model is fitted on and reads: impressions without clicks are, flagged sessions are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hft.data import ClickLog, FineTuningInputs, FittedClicks, GivenPropensities, PositionBasedClicks
from hft.methods import EmbeddingsMethod
from hft.methods.clicks import estimates_from_clicks
from hft.methods.tokenized import TokenizedData
from small_training import settings_with, small_data, small_model

QUERIES, LENGTH = 16, 5
FALSE_CLICKS = GivenPropensities(eta=1.0, false_clicks=True)


class Remembers(GivenPropensities):
    """Knows the log that it was fitted on."""

    log: ClickLog

    def fit(self, log: ClickLog) -> FittedClicks:
        self.log = log
        return super().fit(log)


def shown(split: str, sessions: int, seed: int = 0, **columns: Any) -> FineTuningInputs:
    """Sessions of few queries; the first two of the five items of each are relevant, the others are clicked falsely."""
    rng = np.random.default_rng(seed)
    query = np.arange(sessions) % QUERIES
    places = rng.permuted(np.tile(np.arange(LENGTH), (sessions, 1)), axis=1)
    clicked = PositionBasedClicks(1.0, 0.6, 0.2).draw((places < 2).astype(np.float32), 1.0, rng)
    return FineTuningInputs.from_columns(
        small_data().items,
        [f"{split}{row}" for row in range(sessions)],
        [f"{split} query {number}" for number in query],
        offsets=np.arange(sessions + 1, dtype=np.int64) * LENGTH,
        results=(query[:, None] * LENGTH + places).ravel().astype(np.int32),
        events=clicked.ravel().astype(np.float32),
        **columns,
    )


@pytest.fixture
def texts_of(tiny_bert: Path) -> Any:
    model = small_model(tiny_bert)

    def made(**changes: Any) -> TokenizedData:
        data = replace(small_data(), train=shown("train", 300), test=shown("test", 300, 1), **changes)
        return EmbeddingsMethod({"name": "small"}).tokenize(model, data)

    return made


def with_flagged(inputs: FineTuningInputs, **columns: Any) -> FineTuningInputs:
    """The sessions, and each of them once more, flagged as irrelevant and without an event."""
    twice = inputs.select(np.tile(np.arange(len(inputs)), 2))
    second = np.arange(len(twice)) >= len(inputs)
    events = np.where(np.repeat(second, LENGTH), np.float32(0), twice.flat_events)
    return twice.with_events(events).replace(
        is_irrelevant=second, **{name: second if name == "irrelevant_unclicked" else v for name, v in columns.items()}
    )


def test_a_model_is_fitted_on_sessions_that_want_for_a_click_but_on_none_that_their_source_flags(texts_of: Any) -> None:
    for columns, expected in (({}, 300), ({"irrelevant_unclicked": True}, 600)):
        texts, model = texts_of(), Remembers()
        texts = replace(texts, data=replace(texts.data, train=with_flagged(texts.data.train, **columns)))
        texts.fitted(model)
        assert len(model.log) == expected


def test_what_is_flagged_is_no_impression_and_is_read_neutrally(texts_of: Any) -> None:
    texts = texts_of()
    plain = texts.sessions(texts.data.train, FALSE_CLICKS)
    more = replace(texts, data=replace(texts.data, train=with_flagged(texts.data.train)))
    found = more.sessions(more.data.train, FALSE_CLICKS)
    half = 300 * LENGTH
    for name in ("confidences", "weights", "believed", "may_be_negative"):
        assert np.array_equal(getattr(found, name)[:half], getattr(plain, name))
    assert found.confidences[half:].tolist() == [1.0] * half
    assert not found.weights[half:].any()
    assert not found.believed[half:].any()
    assert found.may_be_negative[half:].all()


def test_estimates_from_clicks_count_the_impressions_without_one(texts_of: Any) -> None:
    """The same as if sessions without a click were in the split; without them more clicks seem to be true ones."""
    texts = texts_of()
    test = texts.data.test
    has = test.has_event
    ranks = np.random.default_rng(2).random(len(test.flat_results)).astype(np.float32)

    def estimate(inputs: FineTuningInputs, ranks: np.ndarray, **unclicked: FineTuningInputs) -> Any:
        part = replace(texts, data=replace(texts.data, test=inputs, unclicked=unclicked))
        sessions = np.unique(inputs.coded_queries.codes, return_inverse=True)[1]
        settings = settings_with(confidence_calculator=FALSE_CLICKS)
        return estimates_from_clicks(part, settings, sessions, ranks, None, depth=3, seed=0)[0]["snips_dcg@3"]

    of_picked = ranks[np.repeat(has, LENGTH)]
    whole = estimate(test, ranks)
    beside = estimate(test.select(has), of_picked, test=test.select(~has))
    assert beside.start == pytest.approx(whole.start)
    assert beside.effective_sample_size == pytest.approx(whole.effective_sample_size)
    without = estimate(test.select(has), of_picked)
    assert without.effective_sample_size != pytest.approx(whole.effective_sample_size, rel=1e-3)


def test_sessions_beside_a_split_are_known_by_near_duplicates_of_its_queries(texts_of: Any) -> None:
    texts = texts_of()
    some = texts.data.test.select(np.arange(12))
    same = some.replace(query=[query.upper() + "!" for query in some.queries])
    other = some.replace(query=["something else"] * 12)
    for beside, expected in ((same, 312), (other, 300)):
        part = replace(texts, data=replace(texts.data, unclicked={"test": beside}))
        log = part.clicks_of(part.data.test).log
        assert len(log) == expected
        assert log.queries[300:].tolist() == log.queries[:12].tolist()[: expected - 300]
