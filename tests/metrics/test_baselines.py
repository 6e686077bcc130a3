"""Baselines: what rankings without a model score, for shown lists and for a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from hft.metrics import (
    Baseline,
    Bm25Baseline,
    ItemPopularityBaseline,
    RandomBaseline,
    TitleOverlapBaseline,
)
from hft.metrics.baselines.language import analyser
from hft.settings import Bm25Language
from tolerances import rounding

TEXTS = [
    "open a file and read its lines",
    "close the file",
    "parse a date from a string",
    "format a date as a string string string",
    "",
]
TITLES = ["Open File", "Close File", "Parse Date", None, "File"]
RESULTS = np.array([0, 1, 2, 3, 2, 4])
OFFSETS = np.array([0, 3, 6])
QUERIES = ["parse DATE", "close file now"]


def baselines() -> list[Baseline]:
    return [
        Bm25Baseline(TEXTS),
        RandomBaseline(),
        TitleOverlapBaseline(TITLES),
        ItemPopularityBaseline(5, np.array([0, 0, 1]), [1.0, 1.0, 0.0]),
    ]


every_baseline = pytest.mark.parametrize("baseline", baselines(), ids=lambda baseline: baseline.name)


@every_baseline
def test_shown_scores_line_up_with_the_results(baseline: Baseline) -> None:
    scores = baseline.shown(QUERIES, RESULTS, OFFSETS)
    assert scores.shape == RESULTS.shape
    assert np.isfinite(scores).all()


@every_baseline
def test_corpus_ranks_are_distinct_rows_of_the_pool(baseline: Baseline) -> None:
    pool = np.array([4, 2, 0, 3])
    rows = baseline.corpus([*QUERIES, ""], pool, 3)
    assert rows.shape == (3, 3)
    for row in rows:
        assert len(set(row.tolist())) == 3
        assert set(row.tolist()) <= set(pool.tolist())


@every_baseline
def test_a_corpus_of_no_query_gives_no_row(baseline: Baseline) -> None:
    assert baseline.corpus([], np.array([0, 1, 2]), 2).shape == (0, 2)


def test_bm25_is_its_formula() -> None:
    # Lucene's variant over the four items with words and the one without, words as they are: k1 = 1.5, b = 0.75.
    words = [text.split() for text in TEXTS]
    kept = [[word for word in item if len(word) > 1] for item in words]
    mean_length = np.mean([len(item) for item in kept])

    def score(query: list[str], item: list[str]) -> float:
        total = 0.0
        for word in query:
            df = sum(word in other for other in kept)
            idf = np.log(1 + (5 - df + 0.5) / (df + 0.5))
            tf = item.count(word)
            total += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(item) / mean_length))
        return total

    expected = [score(["parse", "date"], kept[row]) for row in RESULTS[:3]]
    found = Bm25Baseline(TEXTS, language="none").shown(QUERIES, RESULTS, OFFSETS)
    np.testing.assert_allclose(found[:3], expected, rtol=rounding(terms=10))


def test_bm25_of_english_texts_stems_and_drops_stop_words_as_bm25s_does() -> None:
    import bm25s
    from Stemmer import Stemmer

    texts = ["The tents of two persons", "A stove is to be lit", "Running shoes", "He runs and cooks"]
    queries = ["tent for a person", "run", "the"]
    tokens = bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer("english"), return_ids=False, show_progress=False)
    index = bm25s.BM25()
    index.index(tokens, show_progress=False)
    asked = bm25s.tokenize(queries, stopwords="en", stemmer=Stemmer("english"), return_ids=False, show_progress=False)
    expected = [index.get_scores(words) if words else np.zeros(4) for words in asked]
    found = Bm25Baseline(texts).shown(queries, np.tile(np.arange(4), 3), np.array([0, 4, 8, 12]))
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=rounding(terms=10))
    assert found[0] > 0.0
    assert found[8:].tolist() == [0.0] * 4


GERMAN = [
    "Das Zelt ist für zwei Personen, und es ist in fünf Minuten aufgebaut",
    "Der Kocher ist mit Gas zu betreiben, und er ist nicht für das Zelt",
    "Die Schuhe sind für den Winter, aber auch im Regen zu tragen",
]


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (GERMAN, "german"),
        (["Une tente pour deux personnes, à monter en peu de temps", "Il est facile à porter avec une main"], "french"),
        (["A tent for two", "Nike Air Max 42", "De Dietrich", "Los Angeles"], "english"),
        (["Kevyt teltta kahdelle hengelle ja se on helppo"], "english"),
        (["双人帐篷"], "english"),
        ([""], "english"),
        ([], "english"),
    ],
)
def test_the_language_is_english_unless_stop_words_speak_for_another(texts: list[str], language: str) -> None:
    assert Bm25Baseline(texts).language == language
    assert language.capitalize() in Bm25Baseline(texts).note


def test_each_language_matches_its_own_endings() -> None:
    results, offsets = np.arange(3), np.array([0, 3])
    assert Bm25Baseline(GERMAN).shown(["Person"], results, offsets)[0] > 0.0
    assert Bm25Baseline(GERMAN, language="none").shown(["Person"], results, offsets).tolist() == [0.0] * 3
    # A language without a list of stop words is stemmed all the same.
    assert Bm25Baseline(["teltassa on tilaa"], language="finnish").shown(["teltta"], results[:1], results[:2])[0] > 0.0


@pytest.mark.parametrize("language", [name for name in get_args(Bm25Language) if name not in ("auto", "none")])
def test_every_language_of_the_settings_has_a_stemmer(language: str) -> None:
    assert analyser(language)("running") != []


def test_bm25_ranks_a_corpus_by_the_same_scores() -> None:
    pool = np.arange(5)
    rows = Bm25Baseline(TEXTS).corpus(["date string", "close the file"], pool, 2)
    assert rows[0].tolist() == [3, 2]
    assert rows[1, 0] == 1


def test_bm25_knows_nothing_of_a_query_without_known_words() -> None:
    scores = Bm25Baseline(TEXTS).shown(["zebra", ""], RESULTS, OFFSETS)
    assert scores.tolist() == [0.0] * 6


def test_bm25_bears_items_without_any_word() -> None:
    assert Bm25Baseline(["", "!"]).shown(["file"], np.array([0, 1]), np.array([0, 2])).tolist() == [0.0, 0.0]


def test_bm25_prints_nothing_and_writes_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Bm25Baseline(TEXTS).corpus(QUERIES, np.arange(5), 3)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_random_draws_anew_for_each_query_of_a_corpus() -> None:
    rows = RandomBaseline(seed=1).corpus(["a"] * 2000, np.arange(10), 1)
    assert np.bincount(rows.ravel(), minlength=10).min() > 140


def test_title_overlap_counts_shared_words_against_both_lengths() -> None:
    scores = TitleOverlapBaseline(TITLES).shown(QUERIES, RESULTS, OFFSETS)
    expected = [0.0, 0.0, 1.0, 0.0, 0.0, 1 / np.sqrt(3)]
    assert scores.tolist() == pytest.approx(expected)


def test_title_overlap_ranks_a_corpus_as_it_ranks_lists() -> None:
    baseline = TitleOverlapBaseline(TITLES)
    rows = baseline.corpus(["close the file"], np.arange(5), 3)
    # Both words; then `File`, one word of one; then `Open File`, one of two.
    assert rows.tolist() == [[1, 4, 0]]


def test_popularity_is_the_smoothed_log_odds_of_a_pick() -> None:
    results = np.array([0, 0, 0, 1, 1, 2])
    picks = np.array([1.0, 2.0, 0.0, 0.0, 0.0, 1.0])
    rate = (3 + 1) / (6 + 2)
    log_odds = ItemPopularityBaseline(4, results, picks).log_odds
    picked, shown = np.array([2, 0, 1, 0]), np.array([3, 2, 1, 0])
    expected = np.log((picked + 2 * rate) / (shown - picked + 2 * (1 - rate)))
    np.testing.assert_allclose(log_odds, expected)


def test_popularity_gives_an_item_never_shown_the_overall_odds() -> None:
    baseline = ItemPopularityBaseline(3, np.array([0, 0, 1, 1]), [1.0, 1.0, 0.0, 0.0])
    first, second, unseen = baseline.log_odds
    assert second < unseen < first
    assert unseen == pytest.approx(0.0)


def test_popularity_of_no_training_at_all_ranks_nothing_first() -> None:
    baseline = ItemPopularityBaseline(3, np.array([], dtype=np.int64), [])
    assert len(set(baseline.log_odds.tolist())) == 1
    assert not baseline.tells_apart


def test_popularity_tells_items_apart_once_one_was_picked() -> None:
    assert ItemPopularityBaseline(3, np.array([0, 1]), [1.0, 0.0]).tells_apart
    assert not ItemPopularityBaseline(0, np.array([], dtype=np.int64), []).tells_apart
