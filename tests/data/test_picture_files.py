"""Pictures with captions become sessions; a picture that cannot be used is counted and listed, and none is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hft.data import (
    FineTuningInputs,
    GroupSplitter,
    ItemsSet,
    PictureFiles,
    Quarantine,
    RankingData,
    SourceData,
    prepare_ranking_data,
)
from hft.data.report import PreparationReport
from hft.errors import DataError
from small_collections import write_lines, write_pictures


def picture(path: Path, colour: tuple[int, int, int] = (200, 10, 10), edge: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.new("RGB", (edge, edge), colour)
    for place in range(edge):
        made.putpixel((place, place), (place, 255 - place, 90))
    made.save(path)
    return path


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[SourceData, Quarantine, Path]]:
    def call(rows: Any, share: float = 1.0, **options: Any) -> tuple[SourceData, Quarantine, Path]:
        write_lines(tmp_path / "captions.jsonl", rows)
        path = tmp_path / "quarantine.jsonl"
        with Quarantine(path, share) as quarantine:
            return PictureFiles(tmp_path, **options).read(quarantine), quarantine, path

    return call


def test_a_caption_is_a_query_and_its_picture_was_picked(read: Any, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.jpg", (0, 0, 200))
    rows = [{"image": "a.png", "caption": "red"}, {"image": "b.jpg", "caption": ["blue", "a blue thing"]}]
    data, _, _ = read(rows)
    assert data.items.ids == ["a.png", "b.jpg"]
    assert data.items.image_paths == [str(tmp_path / "a.png"), str(tmp_path / "b.jpg")]
    assert [(entry.query, entry.results, entry.events) for entry in data.inputs] == [
        ("red", ("a.png",), (1.0,)),
        ("blue", ("b.jpg",), (1.0,)),
        ("a blue thing", ("b.jpg",), (1.0,)),
    ]


def test_bad_pictures_are_set_aside_each_with_its_reason(read: Any, tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:-60])
    picture(tmp_path / "whole.jpg", edge=100)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    (tmp_path / "text.png").write_text("this is no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    picture(tmp_path / "large.png", edge=101)
    names = ["good", "cut", "text", "empty", "folder", "large", "gone"]
    rows = [{"image": f"{name}.png", "caption": name} for name in names] + [{"image": "cut.jpg", "caption": "cut"}]
    data, quarantine, path = read([*rows, {"image": "good.png", "caption": ""}], max_pixels=10_000)
    assert data.items.ids == ["good.png"]
    assert quarantine.count == 8
    listed = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["line"], line["reason"]) for line in listed] == [
        (2, "a picture that is cut off or damaged"),
        (3, "not a picture"),
        (4, "not a picture"),
        (5, "a file name that is no file's (a folder, a pipe, a device)"),
        (6, "a picture of more than 10,000 pixels"),
        (7, "no such picture"),
        (8, "a picture that is cut off or damaged"),
        (9, "field 'caption': no caption"),
    ]


def test_too_many_bad_pictures_stop_the_run(read: Any, tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    rows = [{"image": f"{n}.png", "caption": "gone"} for n in range(30)] + [{"image": "good.png", "caption": "there"}]
    with pytest.raises(DataError, match=r"30 of 31 lines .* no such picture \(30\)"):
        read(rows, share=0.01)


def test_the_copy_of_a_picture_is_the_same_picture(read: Any, tmp_path: Path) -> None:
    first = picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(first.read_bytes())
    data, _, _ = read([{"image": "a.png", "caption": "one"}, {"image": "b.png", "caption": "two"}])
    assert data.items.image_hashes[0] == data.items.image_hashes[1]
    assert len(set(data.items.groups)) == 1
    assert any(note.startswith("1 pictures are copies") for note in data.notes)


def test_the_data_hash_goes_by_what_pictures_show_and_not_by_where_they_lie(tmp_path: Path) -> None:
    def fingerprint(folder: Path) -> str:
        source, splitter = PictureFiles(folder), GroupSplitter(0.2, 0.2)
        return prepare_ranking_data(source, splitter, candidates="corpus").fingerprint()

    for name in ("here", "there", "other"):
        write_pictures(tmp_path / name)
    picture(tmp_path / "other" / "images" / "huge_red_bar.png", edge=24)
    assert fingerprint(tmp_path / "here") == fingerprint(tmp_path / "there") != fingerprint(tmp_path / "other")


def test_items_without_pictures_have_the_hash_that_they_always_had() -> None:
    items = ItemsSet.from_columns(["a", "b"], ["x", "y"])
    assert items.image_paths == items.image_hashes == [None, None]
    assert ItemsSet(items.table.drop_columns(["image"])).table.equals(items.table)

    def session(name: str) -> FineTuningInputs:
        results, events = np.array([0, 1], dtype=np.int32), np.array([1, 0], dtype=np.float32)
        return FineTuningInputs.from_columns(
            items, [name], [name], offsets=np.array([0, 2]), results=results, events=events
        )

    report = PreparationReport(items=2, read={}, quarantined={}, reasons={}, dropped={}, splits={})
    data = RankingData(items, session("p"), session("q"), session("r"), "shown", {}, report)
    assert data.fingerprint() == "9f1b368e18bb021272fa18e86234be8e853528c60b6d904729bfd76285cbde60"


def test_further_words_are_learnt_from_and_never_asked_for(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    tagged = [{**row, "tags": [f"tag {number}", row["caption"]]} for number, row in enumerate(rows)]
    write_lines(tmp_path / "captions.jsonl", tagged)
    data = prepare_ranking_data(
        PictureFiles(tmp_path, more_fields=["tags"]), GroupSplitter(0.2, 0.2), candidates="corpus"
    )
    asked = {name: [query.startswith("tag") for query in inputs.queries] for name, inputs in data.splits.items()}
    assert sum(asked["train"]) == len(data.train) / 2
    assert asked["validation"]
    assert asked["test"]
    assert not any(asked["validation"] + asked["test"])
    assert data.report.splits["test"].sessions == len(data.test)


def test_whole_pictures_are_held_out(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    twice = [{**row, "caption": [row["caption"], f"{row['caption']} on white"]} for row in rows]
    write_lines(tmp_path / "captions.jsonl", twice)
    data = prepare_ranking_data(PictureFiles(tmp_path), GroupSplitter(0.2, 0.2), candidates="corpus")
    shown = {name: set(inputs.flat_results.tolist()) for name, inputs in data.splits.items()}
    assert not shown["train"] & (shown["validation"] | shown["test"])
    assert not shown["validation"] & shown["test"]
    assert len(data.pools["test"]) == 48


def test_no_name_of_a_picture_leads_out_of_the_folder(read: Any, tmp_path: Path) -> None:
    outside = picture(tmp_path.parent / f"{tmp_path.name}-outside.png")
    picture(tmp_path / "sub" / "in.png")
    (tmp_path / "link.png").symlink_to(outside)
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "elsewhere").symlink_to(tmp_path.parent)
    os.mkfifo(tmp_path / "pipe.png")
    out = [f"../{outside.name}", str(outside), "link.png", f"elsewhere/{outside.name}", "sub/../../" + outside.name]
    impossible = ["a\0b.png", "x" * 5000, "circle.png"]
    good = ["sub/in.png", "sub/../sub/./in.png"]
    names = [*out, *impossible, "pipe.png", *good]
    data, quarantine, path = read([{"image": name, "caption": "c"} for name in names])
    assert data.items.ids == good
    assert quarantine.count == len(names) - len(good)
    reasons = [json.loads(line)["reason"] for line in path.read_text().splitlines()]
    assert reasons[:5] == ["a file name that leads out of the folder"] * 5
    assert reasons[5:] == ["a file name that no file can have"] * 3 + [
        "a file name that is no file's (a folder, a pipe, a device)"
    ]
