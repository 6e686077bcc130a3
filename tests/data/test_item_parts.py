"""Long items in parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.data import ItemsSet, Quarantine, SessionFiles, SourceData
from hft.data.parts import (
    JoinedParts,
    JsonFieldSplitter,
    Parts,
    RegexSplitter,
    SentenceSplitter,
    SeparatorSplitter,
    TokenGroupTextSplitter,
    sentence_spans,
)
from hft.data.parts.joined import joined_inputs
from hft.errors import ConfigError, DataError

CODE = "```python\nx = f(1).  y.\n\nprint(x)\n```"


def letters(texts: Sequence[str]) -> np.ndarray:
    """A tokenizer whose tokens are the characters that are not blank."""
    return np.array([len("".join(text.split())) for text in texts], dtype=np.int64)


def split(splitter, texts, most=1000) -> list[list[str]]:
    parts = splitter.split(texts, letters, most)
    flat = parts.texts.to_pylist()
    return [flat[start:end] for start, end in zip(parts.offsets[:-1], parts.offsets[1:], strict=True)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four… five.", ["One.", "Two!", "Three?", "Four…", "five."]),
        (
            "Dr. Who met J. R. Smith, e.g. at 3.14 p.m. today. Yes.",
            ["Dr. Who met J. R. Smith, e.g. at 3.14 p.m. today.", "Yes."],
        ),
        ('He said "Go." Then left.', ['He said "Go."', "Then left."]),
        ("Title\nGenres: a, b\n\nA line\nthat goes on.", ["Title", "Genres: a, b", "A line\nthat goes on."]),
        ("你好。世界！再见", ["你好。", "世界！", "再见"]),
        ("ما هذا؟ نعم. لا", ["ما هذا؟", "نعم.", "لا"]),
        ("क्या है। हाँ।", ["क्या है।", "हाँ।"]),
        (f"Before. {CODE}", ["Before.", "```python\nx = f(1).  y.", "print(x)", "```"]),
        (f"Before.\n{CODE}\nAfter. End", ["Before.", CODE, "After.", "End"]),
        ("```\nnever closed. x.", ["```\nnever closed. x."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, sentences):
    assert [text[start:end].strip("\n") for start, end, _ in sentence_spans(text)] == sentences


@given(st.text(alphabet="aB. \n`!。é\u0301🏕", max_size=60))
def test_no_sentence_loses_or_repeats_a_character(text):
    spans = sentence_spans(text)
    told = "".join(text[start:end] for start, end, _ in spans)
    assert "".join(told.split()) == "".join(text.split())
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_parts_of_some_sentences_overlap_as_told():
    text = "Aa. Bb. Cc. Dd. Ee."
    assert split(SentenceSplitter(2), [text]) == [["Aa. Bb.", "Cc. Dd.", "Ee."]]
    assert split(SentenceSplitter(3, overlap=1), [text]) == [["Aa. Bb. Cc.", "Cc. Dd. Ee."]]
    assert split(SentenceSplitter(9), [text]) == [[text]]
    with pytest.raises(ConfigError, match=r"data\.item_splitter\.overlap: found 2 with sentences=2"):
        SentenceSplitter(2, overlap=2)


def test_parts_between_separators_and_matches():
    assert split(SeparatorSplitter(), ["a\n\nb\n\n\n\nc", "d"]) == [["a", "b", "c"], ["d"]]
    assert split(SeparatorSplitter(" | "), ["a | b"]) == [["a", "b"]]
    assert split(RegexSplitter("(?=^# )"), ["# one\nx\n# two\ny"]) == [["# one\nx", "# two\ny"]]
    assert split(RegexSplitter(r"\d+", keep="matches"), ["a 12 b 345"]) == [["12", "345"]]
    assert split(RegexSplitter(r"\s*;\s*"), ["a ; b;c"]) == [["a", "b", "c"]]
    with pytest.raises(ConfigError, match=r"pattern: '\(' is no regular expression"):
        RegexSplitter("(")


def test_parts_are_the_fields_of_a_json_text():
    text = json.dumps({"title": "Tent", "specs": {"weight": 2.0}, "reviews": ["good", "", "bad"]})
    assert split(JsonFieldSplitter(), [text, "no json", "[1]"]) == [
        ["title: Tent", "specs: 2", "reviews: good, bad"],
        ["no json"],
        ["[1]"],
    ]
    chosen = JsonFieldSplitter(["reviews", "specs.weight", "none"], each_entry=True, with_names=False)
    assert split(chosen, [text]) == [["good", "bad", "2"]]


def test_an_item_without_anything_to_split_is_one_part():
    for splitter in (SentenceSplitter(), SeparatorSplitter(), RegexSplitter("x", "matches"), TokenGroupTextSplitter()):
        assert split(splitter, ["", "ab", "  "]) == [[""], ["ab"], ["  "]]


def test_a_part_has_as_many_sentences_as_fit():
    text = "Aaaa. Bbb. Cc. Dddddddd. E."
    assert split(TokenGroupTextSplitter(9), [text]) == [["Aaaa. Bbb.", "Cc.", "Dddddddd.", "E."]]
    assert split(TokenGroupTextSplitter(), [text], most=12) == [["Aaaa. Bbb. Cc.", "Dddddddd. E."]]
    assert split(TokenGroupTextSplitter(100), [text], most=12) == [["Aaaa. Bbb. Cc.", "Dddddddd. E."]]


def test_parts_overlap_by_whole_sentences_within_the_budget():
    text = "Aaa. Bbb. Ccc. Ddd."
    assert split(TokenGroupTextSplitter(8, overlap_tokens=4), [text]) == [["Aaa. Bbb.", "Bbb. Ccc.", "Ccc. Ddd."]]
    assert split(TokenGroupTextSplitter(8, overlap_tokens=3), [text]) == [["Aaa. Bbb.", "Ccc. Ddd."]]
    with pytest.raises(ConfigError, match=r"overlap_tokens: found 8 with max_tokens=8"):
        TokenGroupTextSplitter(8, overlap_tokens=8)


def test_a_block_of_code_stays_whole_though_it_is_longer_than_the_budget():
    found = split(TokenGroupTextSplitter(10), [f"Before it.\n{CODE}\nAfter."])[0]
    assert CODE in found
    assert found[0] == "Before it."
    assert found[-1] == "After."


def test_a_sentence_longer_than_the_budget_is_cut_between_words_and_a_word_between_characters():
    assert split(TokenGroupTextSplitter(6), ["aaa bbb ccc ddddddddd e"]) == [["aaa bbb", "ccc ddd", "dddddd", "e"]]
    family = "👨\u200d👩\u200d👧"
    found = split(TokenGroupTextSplitter(6), [family * 3])[0]
    assert found == [family] * 3


@given(
    st.lists(st.text(alphabet="ab. \n\u0301", min_size=1, max_size=40), max_size=4),
    st.integers(1, 12),
    st.integers(0, 5),
)
def test_no_part_is_longer_than_the_budget_and_nothing_is_lost(texts, budget, overlap):
    found = split(TokenGroupTextSplitter(budget, min(overlap, budget - 1)), texts)
    for text, parts in zip(texts, found, strict=True):
        assert all(letters([part])[0] <= max(budget, 1 + part.count("\u0301")) for part in parts)
        told = "".join("".join(parts).split())
        if overlap == 0 or budget == 1:
            assert told == "".join(text.split())
        else:
            assert len(told) >= len("".join(text.split()))


def test_what_is_beyond_the_most_parts_is_counted():
    parts = SeparatorSplitter(",", max_parts=2).split(["a,b,c,d", "e"], letters, 10)
    assert parts.texts.to_pylist() == ["a", "b", "e"]
    assert parts.offsets.tolist() == [0, 2, 3]
    assert parts.left_out == 2
    assert parts.lines() == [
        "items in parts: 3 parts of 2 items, 1.5 each, at most 2",
        "2 parts beyond data.item_splitter.max_parts were left out",
    ]


def test_many_items_are_split_block_by_block():
    texts = [f"One {n}. Two {n}." for n in range(3000)]
    asked: list[int] = []

    def counted(batch):
        asked.append(len(batch))
        return letters(batch)

    parts = TokenGroupTextSplitter(9).split(iter(texts), counted, 100)
    assert isinstance(parts, Parts)
    assert parts.offsets.tolist() == list(range(0, 6001, 2))
    assert parts.texts[5].as_py() == "Two 2."
    assert max(asked) <= 2048


def test_a_text_of_megabytes_is_split_in_time_that_grows_with_it():
    text = "word " * 400_000 + "Sentence one. " * 50_000
    found = split(TokenGroupTextSplitter(200), [text])[0]
    assert len(found) > 10_000
    assert max(letters(found)) <= 200


def test_a_log_of_passages_is_read_as_one_of_documents(write):
    items = write(
        "items.jsonl",
        [{"item_id": name, "title": f"T{name}", "text": f"text {name}"} for name in ("a#2", "b", "a#1", "c#x#1")],
    )
    clicks = [{"item_id": "a#1", "weight": 1}, {"item_id": "a#2", "weight": 3}]
    lines = [
        {"query": "q0", "results": ["b", "a#1", "a#2"], "events": clicks, "ranks": [0.9, 0.5, 0.4]},
        {"query": "q1", "results": ["a#1", "a#2"], "events": ["a#1"]},
        {"query": "q2", "results": ["a#2", "c#x#1", "b", "a#1"], "events": ["b"]},
    ]
    data = JoinedParts(SessionFiles(write("sessions.jsonl", lines), items)).read(Quarantine())
    assert data.items.ids == ["a", "b", "c#x"]
    assert data.items.texts == ["Ta#2\ntext a#2\n\nTa#1\ntext a#1", "Tb\ntext b", "Tc#x#1\ntext c#x#1"]
    assert data.items.titles == ["Ta#2", "Tb", "Tc#x#1"]
    told = [(session.query, session.results, session.events, session.ranks) for session in data.inputs]
    assert told == [
        ("q0", ("b", "a"), (0.0, 3.0), pytest.approx((0.9, 0.5))),
        ("q2", ("a", "c#x", "b"), (0.0, 0.0, 1.0), None),
    ]
    assert data.dropped["sessions with fewer than two results once parts of one item were one"] == 1
    assert split(SeparatorSplitter(), data.items.texts)[0] == ["Ta#2\ntext a#2", "Ta#1\ntext a#1"]


def test_a_visit_to_a_document_is_the_longest_to_one_of_its_passages(write):
    items = write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in ("a#1", "a#2", "b")])
    stays = [{"item_id": "a#1", "type": "click", "dwell": 5.0}, {"item_id": "a#2", "type": "click", "dwell": 40.0}]
    lines = [
        {"query": "q0", "results": ["b", "a#1", "a#2"], "events": stays},
        {"query": "q1", "results": ["a#1", "b"], "events": ["b"]},
    ]
    data = JoinedParts(SessionFiles(write("sessions.jsonl", lines), items)).read(Quarantine())
    assert data.inputs[0].dwell == (None, 40.0)
    assert np.isnan(data.inputs.flat_dwell).tolist() == [True, False, True, True]


def test_passages_with_empty_lines_are_their_parts_again(write):
    texts = ["\nfirst\n\nstill first\r\n \t\r\n\nend\n", "second\nline", "\n\n"]
    items = write(
        "items.jsonl",
        [{"item_id": f"a#{n}", "text": text} for n, text in enumerate(texts)] + [{"item_id": "b", "text": "other"}],
    )
    sessions = write("sessions.jsonl", [{"query": "q", "results": ["b", "a#1"], "events": ["b"]}])
    data = JoinedParts(SessionFiles(sessions, items)).read(Quarantine(None, 1.0))
    assert split(SeparatorSplitter(), data.items.texts)[0] == ["first\nstill first\nend", "second\nline"]


def test_known_grades_of_parts_are_joined_by_their_maximum(make_inputs, items):
    inputs = make_inputs([("q", "abc", [0, 1, 0]), ("r", "de", [1, 0])], judged=[{"a": 1.0, "d": 3.0, "b": 2.0}, None])
    owners = np.array([0, 1, 0, 0, 1, 2], dtype=np.int32)
    found = joined_inputs(inputs, owners, ItemsSet.from_columns(["x", "y", "z"], ["1", "2", "3"]))
    assert [session.results for session in found] == [("x", "y"), ("x", "y")]
    assert [session.events for session in found] == [(0.0, 1.0), (1.0, 0.0)]
    assert found.flat_judged.tolist() == [0, 1]
    assert found.flat_grades.tolist() == [3.0, 2.0]
    assert found.is_judged.tolist() == [True, False]


def test_an_item_stood_where_the_first_of_its_parts_did(make_inputs):
    inputs = make_inputs([("q", "abcf", [0, 0, 1, 1]), ("r", "de", [1, 0])])
    owners = np.array([0, 0, 1, 0, 1, 2], dtype=np.int32)
    found = joined_inputs(inputs, owners, ItemsSet.from_columns(["x", "y", "z"], ["1", "2", "3"]))
    assert found[0].results == ("x", "y", "z")
    assert found.flat_positions.tolist() == [0, 2, 3, 0, 1]


def test_parts_of_items_have_an_identity_where_their_source_has_one(write):
    files = write("s.jsonl", ["{}"]), write("i.jsonl", ["{}"])
    one, other = (JoinedParts(SessionFiles(*files), mark).identity() for mark in "#/")
    assert one.options != other.options
    with pytest.raises(TypeError, match="object does not say"):
        JoinedParts(object()).identity()


class Simulating:
    """A source of nothing but a simulator."""

    def read(self, quarantine):
        return SourceData(ItemsSet.from_columns([], []), None, impressions=lambda *_: None)


def test_simulated_lists_have_no_parts():
    with pytest.raises(DataError, match="Simulating simulates the shown lists"):
        JoinedParts(Simulating()).read(Quarantine())
