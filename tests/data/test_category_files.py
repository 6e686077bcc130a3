"""Texts with their categories become sessions: the categories are the items, a text's own were picked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hft.data import CategoryFiles, GivenSplitter, Quarantine, SourceData, prepare_ranking_data
from hft.data.category_paths import depth, level_numbers, path_of
from hft.errors import ConfigError, DataError

TRAIN = [
    {"text": "my card is lost", "category": "lost_card"},
    {"text": "where is my new card", "category": "card_arrival"},
    {"text": "top up failed", "category": "top_up"},
]
TEST = [{"text": "card did not come", "category": "card_arrival"}]


@pytest.fixture
def read(write: Callable[[str, Any], Path], tmp_path: Path) -> Callable[..., tuple[SourceData, Quarantine]]:
    def call(rows: Any = TRAIN, held_out: Any = TEST, **options: Any) -> tuple[SourceData, Quarantine]:
        write(options.get("train", "train.jsonl"), rows)
        write("test.jsonl", held_out)
        with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
            return CategoryFiles(tmp_path, **options).read(quarantine), quarantine

    return call


def test_each_text_is_shown_all_categories_and_its_own_is_picked(read: Any) -> None:
    data, _ = read()
    assert data.items.ids == ["lost_card", "card_arrival", "top_up"]
    assert data.items.texts == ["lost card", "card arrival", "top up"]
    assert [entry.results for entry in data.inputs] == [("lost_card", "card_arrival", "top_up")] * 4
    assert [entry.events for entry in data.inputs] == [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 0)]
    assert data.inputs.table.column("split").to_pylist() == ["train", "train", "train", "test"]


def test_a_hierarchy_is_one_path_whatever_blanks_stand_in_it(read: Any) -> None:
    rows = [
        {"text": "case for my phone", "category": "Electronics>Phones > Cases"},
        {"text": "phone cover", "category": "Electronics > Phones > Cases"},
        {"text": "a novel", "category": "Books"},
    ]
    data, _ = read(rows, rows[:1], path_separator=">", template="{name}, a kind of {parents}")
    assert data.items.ids == ["Electronics > Phones > Cases", "Books"]
    assert data.items.texts == ["Cases, a kind of Electronics > Phones", "Books, a kind of"]
    assert "2 categories in 3 levels" in data.notes


def test_a_text_may_have_several_categories(read: Any) -> None:
    rows = [*TRAIN, {"text": "lost it on the way", "category": ["lost_card", "card_arrival"]}]
    data, _ = read(rows)
    assert data.inputs[3].events == (1, 1, 0)


def test_a_table_is_read_too(read: Any) -> None:
    data, _ = read(["text,category", "my card is lost,lost_card", "top up failed,top_up|lost_card"], train="train.csv")
    assert data.inputs[1].events == (1, 1, 0)


def test_shown_draws_other_categories_and_keeps_the_own_one(read: Any) -> None:
    rows = [{"text": f"text {n}", "category": f"c{n % 20}"} for n in range(60)]
    data, _ = read(rows, rows[:1], shown=5)
    again, _ = read(rows, rows[:1], shown=5)
    assert np.array_equal(data.inputs.flat_results, again.inputs.flat_results)
    for number, entry in enumerate(data.inputs):
        assert len(set(entry.results)) == len(entry.results) == 5
        picked = [item for item, event in zip(entry.results, entry.events, strict=True) if event]
        assert picked == [f"c{number % 20}" if number < 60 else "c0"]
    places = {entry.events.index(1.0) for entry in data.inputs}
    assert places == {0, 1, 2, 3, 4}, "the own category must not stand in one place"


def test_what_cannot_be_used_is_set_aside_with_its_reason(read: Any) -> None:
    bad = [{"text": "", "category": "top_up"}, {"text": "no category", "category": ""}, "{broken", "[1]"]
    data, quarantine = read([*TRAIN, *TRAIN, *TRAIN, *bad])
    assert quarantine.count == 4
    assert set(quarantine.reasons) == {
        "field 'text': no text",
        "field 'category': no category",
        "malformed JSON",
        "not an object",
    }
    assert data.dropped == {"rows that repeat a text and its category": 6}


def test_a_misspelt_field_is_told_with_those_that_are_there(read: Any) -> None:
    with pytest.raises(DataError, match=r"data\.source\.category_field"):
        read(category_field="label")


def test_one_category_is_none(read: Any) -> None:
    with pytest.raises(DataError, match="expected two at least"):
        read(TRAIN[:1], TRAIN[:1])


def test_a_template_names_only_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="known: path, name, parents"):
        CategoryFiles(tmp_path, template="{nmae}")


def test_a_text_of_both_files_is_held_out_and_counted(read: Any, tmp_path: Path) -> None:
    train = [{"text": f"question {word} number {n}", "category": f"c{n % 4}"}
             for n, word in enumerate(["alpha", "beta", "gamma", "delta"] * 15)]  # fmt: skip
    test = [{"text": "Question alpha number 0?", "category": "c0"}, {"text": "something else", "category": "c1"}]
    data, _ = read(train, test)
    assert any(note.startswith("1 texts of train are held out too") for note in data.notes)
    made = prepare_ranking_data(CategoryFiles(tmp_path), GivenSplitter(0.2), candidates="shown")
    assert "question alpha number 0" not in made.train.queries + made.validation.queries
    assert "Question alpha number 0?" in made.test.queries
    assert made.report.dropped["sessions whose query is held out from their split"] == 1


def test_banking77_has_25_texts_in_both_files(shared_data: Path) -> None:
    folder = shared_data / "banking77"
    if not folder.is_dir():
        pytest.skip(f"no collection at {folder}")
    data = CategoryFiles(folder, category_field="label").read(Quarantine())
    assert (len(data.items), len(data.inputs)) == (77, 13_078)
    assert data.dropped == {"rows that repeat a text and its category": 5}
    assert "25 texts of train are held out too, but for case and punctuation: they leave train" in data.notes


def test_paths_and_levels() -> None:
    assert path_of(" A >B> C ", ">") == ("A", "B", "C")
    assert path_of("A > B", None) == ("A > B",)
    titles = ["A > B > C", "A > B > D", "A > E", "F"]
    assert depth(titles) == 3
    names, numbers = level_numbers(titles, 2)
    assert names == ["A > B", "A > E", "F"]
    assert numbers.tolist() == [0, 0, 1, 2]
