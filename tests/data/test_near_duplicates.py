from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.data import query_key, query_keys
from hft.data.near_duplicates import stable_fraction

NOISE = ("movie", "netflix", "hulu", "watch", "online", "free")


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("insidious 2", "insidious 2 netflix"),
        ("insidious 2", "Watch INSIDIOUS 2 online, free!"),
        ("the godfather", "godfather movies"),
        ("brothers grimm", "grimm brother"),
        ("cities of angels", "city of angel"),
        ("amélie", "amelie"),
        ("ﬁnding nemo", "finding nemo"),
        ("don't look up", "dont look up"),
        ("spider-man", "spider man"),
        ("straße", "STRASSE"),
    ],
)
def test_near_duplicates_share_a_key(query: str, same: str) -> None:
    assert query_key(query, NOISE) == query_key(same, NOISE)


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ("insidious 2", "insidious 3"),
        ("netflix", "hulu"),
        ("the who", "how"),
        ("गीत", "गत"),
        ("🍎", "🍐"),
        ("??", "!!"),
        ("bus", "bu"),
    ],
)
def test_different_queries_have_different_keys(query: str, other: str) -> None:
    assert query_key(query, NOISE) != query_key(other, NOISE)


def test_noise_words_are_configurable() -> None:
    assert query_key("rust crate", noise_words=["crates"]) == query_key("rust", noise_words=["crates"])
    assert query_key("insidious netflix") != query_key("insidious")


@given(st.text(min_size=1))
def test_a_key_is_the_same_for_case_order_and_repetition(query: str) -> None:
    key = query_key(query)
    assert query_key(f"  {query}  ") == key
    assert query_keys([query, query]) == [key, key]
    words = query.split()
    if words and key and all(word.isascii() and word.isalnum() for word in words):
        assert query_key(" ".join(reversed(words)).upper()) == key


def test_keys_and_their_hashes_are_fixed_for_all_time() -> None:
    """If this fails, queries that were held out have moved into training for everybody."""
    assert query_key("Watch the 2 Insidious movies", NOISE) == "2 insidious"
    assert stable_fraction("query:2 insidious") == 0.40350151579885346


def test_keys_are_the_same_in_every_process() -> None:
    code = "from hft.data import query_key; print(query_key('Zombies & the cities of gold'))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert printed == {query_key("zombie city gold")}
