"""Settings of a search as a Python program writes them."""

from __future__ import annotations

from hft.search import SearchSettings


def test_one_metric_is_a_word():
    settings = SearchSettings(metric="accuracy", direction="maximize")
    assert (settings.metric, settings.direction, settings.signs) == (("accuracy",), ("maximize",), (-1.0,))


def test_several_metrics_are_a_list():
    settings = SearchSettings.model_validate({"metric": ["a", "b"], "direction": ["maximize", "minimize"]})
    assert settings.signs == (-1.0, 1.0)
