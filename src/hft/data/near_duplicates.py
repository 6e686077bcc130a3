"""The near-duplicate key of a query: equal keys mean the same question in other words' order, form or
company.

The key looks at the query alone, never at a corpus or at other queries, so a query has the same key in
every batch of clicks and in every iteration; splits hang on it. Merging too much only makes groups coarser,
it can never leak.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in",
    "into", "is", "it", "its", "me", "my", "of", "on", "or", "our", "s", "t", "that", "the", "their", "this",
    "to", "was", "we", "what", "when", "where", "which", "who", "why", "will", "with", "you", "your",
})  # fmt: skip

_WORD_MARKS = re.compile(r"['’`´]")
_NOT_A_WORD = re.compile(r"[^\w]+|_+")


def query_key(query: str, noise_words: Sequence[str] = ()) -> str:
    """The near-duplicate key of a query.

    Normalises (NFKC, case folded, accents dropped), strips punctuation and symbols, drops stop words and
    noise words, takes plurals off and sorts what is left as a set. A query made of such words only falls
    back to its words, one of symbols only to its case-folded text.

    Args:
        query: any text.
        noise_words: words that do not tell two queries apart, in any form and number. None by default: which words
            people put beside what they look for depends on where they search ("netflix" and "watch" say nothing in
            a search of movies, a lot in one of documentation).
    """
    return _query_key(query, _stems(noise_words))


def query_keys(queries: Iterable[str], noise_words: Sequence[str] = ()) -> list[str]:
    """The keys of many queries; each distinct text is worked out once."""
    noise = _stems(noise_words)
    known: dict[str, str] = {}
    keys = []
    for query in queries:
        if query not in known:
            known[query] = _query_key(query, noise)
        keys.append(known[query])
    return keys


def stable_fraction(key: str) -> float:
    """A number in [0, 1) that depends on the key alone: the same in every process and on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2.0**64


def stem(word: str) -> str:
    """The word without a plural ending, by the rules of the S-stemmer (Harman 1991, "How effective is suffixing?");
    a singular in -ie goes with its plural (movie, movies), and short words keep more."""
    if len(word) <= 3:
        return word
    if len(word) > 4 and word.endswith(("ies", "ie")) and word.rpartition("ie")[0][-1] not in "ae":
        return word.rpartition("ie")[0] + "y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word.endswith("s") and word[-2] not in "us":
        return word[:-1]
    return word


def _query_key(query: str, noise: frozenset[str]) -> str:
    words = [stem(word) for word in _words(query)]
    telling = {word for word in words if word not in STOP_WORDS and word not in noise}
    return " ".join(sorted(telling or set(words))) or " ".join(_folded(query).split())


def _folded(text: str) -> str:
    if text.isascii():  # most texts; no form of Unicode changes them
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _words(text: str) -> list[str]:
    if text.isascii():
        return [word for word in _NOT_A_WORD.split(_WORD_MARKS.sub("", text.lower())) if word]
    decomposed = unicodedata.normalize("NFD", _folded(text))
    # Accents go from Latin, Greek and Cyrillic letters; in other scripts the marks are letters of their own.
    plain = "".join(mark for mark in decomposed if not 0x0300 <= ord(mark) <= 0x036F)
    composed = unicodedata.normalize("NFC", _WORD_MARKS.sub("", plain))
    return [word for word in _NOT_A_WORD.split(composed) if word]


@lru_cache(maxsize=16)
def _cached_stems(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(stem(part) for word in words for part in _words(word))


def _stems(words: Sequence[str]) -> frozenset[str]:
    return _cached_stems(tuple(words))
