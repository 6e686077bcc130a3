"""What word matching makes of a text in a known language: words without endings and without stop words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

from hft.metrics.baselines.words import words

Analyser = Callable[[str | None], list[str]]

# Texts that `detected_language` reads.
_SAMPLE_TEXTS = 2_000
# Another language than English needs this share of stop words among all words, so many different ones, and so many
# times English's share: titles have few stop words of any language, and short ones ("in", "de", "me") belong to
# several. Sentences have 30 to 50%.
_LEAST_SHARE = 0.15
_LEAST_DISTINCT = 5
_TIMES_ENGLISH = 2.0
# Of bm25s' lists, by Snowball's names. English is read by the long list, and searched with the short one, Lucene's.
_LISTS = {
    "danish": "STOPWORDS_DANISH",
    "dutch": "STOPWORDS_DUTCH",
    "english": "STOPWORDS_EN_PLUS",
    "french": "STOPWORDS_FRENCH",
    "german": "STOPWORDS_GERMAN",
    "italian": "STOPWORDS_ITALIAN",
    "norwegian": "STOPWORDS_NORWEGIAN",
    "portuguese": "STOPWORDS_PORTUGUESE",
    "russian": "STOPWORDS_RUSSIAN",
    "spanish": "STOPWORDS_SPANISH",
    "swedish": "STOPWORDS_SWEDISH",
    "turkish": "STOPWORDS_TURKISH",
}


def detected_language(texts: Sequence[str]) -> str:
    """The language whose stop words are most of the texts' words; `english` where no other one is clear.

    Args:
        texts: of items; the first 2,000 are read.
    """
    counts = Counter(word for text in islice(texts, _SAMPLE_TEXTS) for word in words(text))
    found = {name: [counts[word] for word in _stop_words(of) if word in counts] for name, of in _LISTS.items()}
    best = max(found, key=lambda name: sum(found[name]))
    least = max(_LEAST_SHARE * counts.total(), _TIMES_ENGLISH * sum(found["english"]))
    return best if len(found[best]) >= _LEAST_DISTINCT and sum(found[best]) >= least else "english"


def analyser(language: str) -> Analyser:
    """Makes words of a text as bm25s does with a stemmer: stop words go (where it has a list), the rest is stemmed.

    Args:
        language: one of Snowball's, as PyStemmer names it; `none` leaves words as they are.

    Source: Porter, "Snowball: a language for stemming algorithms", 2001.
    """
    if language == "none":
        return words
    from Stemmer import Stemmer

    stemmer = Stemmer(language)
    stop = _stop_words("STOPWORDS_EN" if language == "english" else _LISTS.get(language))

    def analyse(text: str | None) -> list[str]:
        stems: list[str] = stemmer.stemWords([word for word in words(text) if word not in stop])
        return stems

    return analyse


def _stop_words(name: str | None) -> frozenset[str]:
    from bm25s import stopwords

    return frozenset(() if name is None else getattr(stopwords, name))
