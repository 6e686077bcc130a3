"""What the test split's clicks say in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hft.data import ConstantConfidence, GivenPropensities, PositionBasedModel
from hft.methods import EmbeddingsMethod
from hft.methods.clicks import estimates_from_clicks
from small_training import settings_with, small_data, small_model


@pytest.fixture
def texts(tiny_bert: Path):
    return EmbeddingsMethod({"name": "small"}).tokenize(small_model(tiny_bert), small_data())


def estimates(texts, clicks, ranks):
    sessions = np.arange(len(texts.data.test))
    settings = settings_with(confidence_calculator=clicks)
    return estimates_from_clicks(texts, settings, sessions, ranks, None, depth=5, seed=0)


def test_a_model_that_ranks_as_shown_is_worth_the_shown_order(texts) -> None:
    """Of eight lists the first result is picked, of three of them the third too, which counts three times."""
    ranks = -np.tile(np.arange(5, dtype=np.float32), 8)
    found, notes = estimates(texts, GivenPropensities(eta=1.0), ranks)
    assert found["snips_dcg@5"].start == pytest.approx((8 * 1.0 + 3 * 3 * 0.5) / (8 + 9))
    assert found["snips_dcg@5"].shown == found["snips_dcg@5"].start
    assert found["snips_dcg@5"].clicks == 11
    assert notes[0] == "propensities: given, 1 / position^1"


def test_clicks_read_by_a_rule_give_none(texts) -> None:
    assert estimates(texts, ConstantConfidence(), np.zeros(40, dtype=np.float32)) == ({}, ())


def test_an_evaluation_on_a_log_that_cannot_tell_goes_on_and_says_so(texts) -> None:
    found, notes = estimates(texts, PositionBasedModel(), np.zeros(40, dtype=np.float32))
    assert found == {}
    assert "no estimate from clicks" in notes[0]
    assert "cannot tell" in notes[0]
