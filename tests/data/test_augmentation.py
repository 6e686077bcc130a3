"""Variants of texts: what they are, what they never are, and what decides them."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from random import Random

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from hft.data.augmentation import Augmentation, ChangeCases, Composition, Misspellings, Synonyms, WordDrop
from hft.data.augmentation.misspellings import _KEYBOARDS
from hft.errors import DataError

TEXTS = [
    "waterproof tent for four people",
    "палатка для четырёх человек",
    "خيمة مقاومة للماء لأربعة أشخاص",
    "אוהל עמיד במים לארבעה אנשים",
    "αδιάβροχη σκηνή για τέσσερα",
    "चार लोगों के लिए तंबू",
    "四人用の防水テント",
    "family 👨\u200d👩\u200d👧 tent 🏕️ ma\u0301laga cafe\u0301",
    "gtx1080 50% -- !!",
]
KEYBOARD_OF = {letter: name for name, rows in _KEYBOARDS.items() for row in rows for letter in row if letter != " "}


def graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def variants(augment, text, count=60) -> set[str]:
    return {augment(text, Random(number)) for number in range(count)}


def test_cases_change():
    assert variants(ChangeCases(), "Der Große weg") == {"der große weg", "DER GROSSE WEG", "Der Große Weg"}
    assert variants(ChangeCases(["first"]), "AN OLD Don't") == {"An old don't"}
    assert variants(ChangeCases(), "خيمة") == {"خيمة"}


def test_each_slip_is_what_its_name_says():
    word = "tent"
    assert variants(Misspellings(1.0, ["drop"]), word) == {"ent", "tnt", "tet", "ten"}
    assert variants(Misspellings(1.0, ["swap"]), word) == {"etnt", "tnet", "tetn"}
    assert variants(Misspellings(1.0, ["double"]), word) == {"ttent", "teent", "tennt", "tentt"}
    near = variants(Misspellings(1.0, ["neighbour"]), word, 300)
    assert {"rent", "yent", "twnt", "trnt", "tebt", "temt", "tenr", "teny"} <= near
    assert all(len(found) == 4 and sum(a != b for a, b in zip(found, word, strict=True)) == 1 for found in near)
    assert "TENR" in variants(Misspellings(1.0, ["neighbour"]), "TENT", 300)


def test_short_words_digits_and_marks_stay():
    assert variants(Misspellings(1.0), "a 4x4 gtx 1080 -- 50% 👨‍👩‍👧") == {"a 4x4 gtx 1080 -- 50% 👨‍👩‍👧"}
    assert all(found.startswith("an ") for found in variants(Misspellings(1.0), "an oven"))


def test_one_word_at_least_and_the_share_of_many_is_misspelt():
    assert all(found != "tent" for found in variants(Misspellings(0.01, ["drop"]), "tent"))
    text = " ".join(["holiday"] * 1000)
    changed = sum(word != "holiday" for word in Misspellings(0.2, ["drop"])(text, Random(1)).split())
    assert 140 < changed < 260


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("slip", ["neighbour", "swap", "drop", "double"])
def test_no_slip_breaks_what_a_reader_takes_for_one_character(text, slip):
    known = set(graphemes(text))
    for found in variants(Misspellings(1.0, [slip]), text, 40):
        strange = [one for one in graphemes(found) if one not in known]
        if slip == "neighbour":
            assert all(len(one) == 1 and one.lower() in KEYBOARD_OF for one in strange)
        else:
            assert strange == []
        assert all(not unicodedata.combining(word[0]) for word in found.split())


@pytest.mark.parametrize("text", TEXTS[:5])
def test_a_neighbour_is_of_the_same_keyboard(text):
    for found in variants(Misspellings(1.0, ["neighbour"]), text, 40):
        for old, new in zip(graphemes(text), graphemes(found), strict=True):
            if old != new:
                assert KEYBOARD_OF[old.lower()] == KEYBOARD_OF[new.lower()]


@pytest.mark.parametrize("text", [TEXTS[2], TEXTS[3]])
def test_right_to_left_text_is_untouched_by_the_keys_of_other_scripts(text):
    assert variants(Misspellings(1.0, ["neighbour"], keyboards=["latin", "cyrillic", "greek"]), text) == {text}
    assert variants(Misspellings(1.0, ["neighbour"]), text) != {text}


def test_words_are_left_out_but_never_all():
    found = variants(WordDrop(0.5), "one two three four", 200)
    assert "one" in found
    assert "" not in found
    assert all(set(text.split()) <= {"one", "two", "three", "four"} for text in found)
    assert variants(WordDrop(0.9), "one two") == {"one two"}
    assert variants(WordDrop(0.99), "a\tb  c", 400) == {"a", "b", "c", "a\tb", "a\tc", "b  c", "a\tb  c"} & variants(
        WordDrop(0.99), "a\tb  c", 400
    )


@pytest.fixture
def table(write):
    return write(
        "synonyms.txt", ["# of mine", "", "tv, television , telly", "sci fi => science fiction, SF", "خيمة,مخيم"]
    )


def test_synonyms_stand_for_words_and_phrases(table):
    replace = Synonyms(table, 1.0)
    assert variants(replace, "The TV, 1") == {"The television, 1", "The telly, 1"}
    assert variants(replace, "best Sci  Fi tv films") == {
        f"best {genre} {name} films" for genre in ("science fiction", "SF") for name in ("television", "telly")
    }
    assert variants(replace, "science fiction, scientists") == {"science fiction, scientists"}
    assert variants(replace, "خيمة") == {"مخيم"}
    assert "tv telly" in variants(Synonyms(table, 0.5), "tv tv")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["tv, television", "lonely"], r"synonyms\.txt:2: found 'lonely'"),
        (["a =>"], r"synonyms\.txt:1: found 'a =>'"),
        (["# nothing"], "holds no synonym"),
        (['{"tent": ["Zelt"], "stove": ["Kocher"]}'], r"synonyms\.txt:1: found '\{\"tent\""),
        ([b"\xff\xfe"], "is not UTF-8 at byte 0"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(write, lines, message):
    with pytest.raises(DataError, match=message):
        Synonyms(write("synonyms.txt", lines))


def test_a_composition_applies_its_steps_in_order(table):
    both = Composition([Synonyms(table, 1.0), ChangeCases(["upper"])])
    assert variants(both, "tv") == {"TELEVISION", "TELLY"}
    some = variants(Composition([ChangeCases(["upper"]), WordDrop(0.5)], share=0.5), "one two three", 200)
    assert {"one two three", "ONE TWO THREE", "one two", "ONE THREE"} <= some


def test_a_variant_depends_on_seed_epoch_and_text_alone():
    augmentation = Augmentation(Misspellings(), share=0.5)
    texts = [f"waterproof tent number {n}" for n in range(200)]
    first = [augmentation.variant(text, "query", 0, 0) for text in texts]
    assert [augmentation.variant(text, "query", 0, 0) for text in reversed(texts)][::-1] == first
    assert 60 < sum(new != old for new, old in zip(first, texts, strict=True)) < 140
    assert [augmentation.variant(text, "query", 0, 1) for text in texts] != first
    assert [augmentation.variant(text, "query", 1, 0) for text in texts] != first
    assert [augmentation.variant(text, "items", 0, 0) for text in texts] == texts
    assert augmentation.changes("query")
    assert not augmentation.changes("items")


def test_another_process_makes_the_same_variants():
    code = (
        "from hft.data.augmentation import *\n"
        "a = Augmentation(Composition([ChangeCases(), Misspellings(), WordDrop()]), share=1.0)\n"
        "print(ascii([a.variant(f'waterproof tent {n} палатка', 'query', 3, 2) for n in range(20)]))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    mine = Augmentation(Composition([ChangeCases(), Misspellings(), WordDrop()]), share=1.0)
    assert told == ascii([mine.variant(f"waterproof tent {n} палатка", "query", 3, 2) for n in range(20)])


@given(st.text(max_size=40), st.integers(0, 5))
def test_no_text_becomes_nothing_or_an_error(text, epoch):
    augment = Composition([ChangeCases(), Misspellings(1.0, ["neighbour", "swap", "drop", "double"]), WordDrop(0.9, 2)])
    found = Augmentation(augment, share=1.0).variant(text, "query", 0, epoch)
    assert bool(found.strip()) == bool(text.strip())
