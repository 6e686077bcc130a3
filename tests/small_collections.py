"""Writes small real collections: click logs as session files, and a labelled collection in the BEIR layout."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

_THINGS = ("tent", "stove", "boots", "lamp", "blanket", "filter", "map", "poles", "jacket", "pack", "knife", "mat")
_USES = {
    "camping": "to sleep and cook outdoors",
    "hiking": "to walk on mountain paths",
    "sailing": "to cross the sea by wind",
    "climbing": "to go up walls of rock",
}
_SHOWN = 5


def items() -> list[dict[str, Any]]:
    """48 items: each thing for each use."""
    return [
        {"item_id": f"{use}-{thing}", "title": f"{use} {thing}", "text": f"A {thing} for {use}, {purpose}."}
        for use, purpose in _USES.items()
        for thing in _THINGS
    ]


def sessions() -> list[dict[str, Any]]:
    """48 sessions, one an item: its query, five results shown, the item picked."""
    known = items()
    made = []
    for row, item in enumerate(known):
        use, _, thing = item["item_id"].partition("-")
        shown = [known[(row + step * 7) % len(known)]["item_id"] for step in range(_SHOWN)]
        shown[0], shown[row % _SHOWN] = shown[row % _SHOWN], shown[0]
        made.append(
            {
                "session_id": str(row),
                "query": f"{thing} {_USES[use]}",
                "results": shown,
                "events": [item["item_id"]],
                "group": thing,
                "split": "test" if row % 4 == 0 else "train",
            }
        )
    return made


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """JSON lines; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def write_session_files(folder: Path) -> list[str]:
    """Writes sessions.jsonl and items.jsonl; returns the overrides that read them."""
    rows = write_lines(folder / "sessions.jsonl", sessions())
    texts = write_lines(folder / "items.jsonl", items())
    return ["data=sessions", f"data.source.sessions={rows}", f"data.source.items={texts}"]


def write_dated_sessions(folder: Path) -> list[str]:
    """The same files, each session with a user and a time; returns the overrides that read them."""
    overrides = write_session_files(folder)
    rows = ({**row, "user_id": f"u{n % 16}", "timestamp": 60.0 * n} for n, row in enumerate(sessions()))
    write_lines(folder / "sessions.jsonl", rows)
    return overrides


def write_sqlite(path: Path) -> list[str]:
    """Writes the sessions and the items into tables; returns the overrides that read them by queries."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE sessions (session_id, query, results, events)")
        database.execute("CREATE TABLE items (item_id, title, text)")
        cells = [(s["session_id"], s["query"], "|".join(s["results"]), "|".join(s["events"])) for s in sessions()]
        database.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?)", cells)
        database.executemany("INSERT INTO items VALUES (:item_id, :title, :text)", items())
        database.commit()
    tables = {"sessions": "session_id", "items": "item_id"}
    return ["data=sql", *(f'data.source.{name}="SELECT * FROM {name} ORDER BY {key}"' for name, key in tables.items())]


def write_ubi(folder: Path) -> list[str]:
    """Writes the sessions as events and queries of User Behavior Insights; returns the overrides that read them."""
    texts = {item["item_id"]: item["text"] for item in items()}
    events = [
        {
            "query_id": session["session_id"],
            "action_name": action,
            "event_attributes": {
                "object": {"object_id": item, "description": texts[item]},
                "position": {"ordinal": place},
            },
        }
        for session in sessions()
        for action, shown in (("impression", session["results"]), ("click", session["events"]))
        for place, item in enumerate(shown)
    ]
    queries = [{"query_id": session["session_id"], "user_query": session["query"]} for session in sessions()]
    files = {"events": write_lines(folder / "events.jsonl", events)}
    files["queries"] = write_lines(folder / "queries.jsonl", queries)
    return ["data=ubi", *(f"data.source.{name}={path}" for name, path in files.items())]


def write_beir(folder: Path) -> list[str]:
    """Writes the same as a labelled collection with a test split; returns the overrides that read it."""
    write_lines(folder / "corpus.jsonl", (_document(item) for item in items()))
    write_lines(folder / "queries.jsonl", ({"_id": s["session_id"], "text": s["query"]} for s in sessions()))
    (folder / "qrels").mkdir(exist_ok=True)
    for split in ("train", "test"):
        lines = ["query-id\tcorpus-id\tscore"]
        for session in sessions():
            if session["split"] == split:
                picked = session["events"]
                lines += [f"{session['session_id']}\t{item}\t{int(item in picked)}" for item in session["results"]]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["data=beir", f"data.source.folder={folder}"]


def write_categories(folder: Path) -> list[str]:
    """Writes the sessions' queries as texts of four categories; returns the overrides that read them."""
    for split in ("train", "test"):
        rows = [
            {"text": f"{session['query']} {session['session_id']}", "category": session["events"][0].partition("-")[0]}
            for session in sessions()
            if session["split"] == split
        ]
        write_lines(folder / f"{split}.jsonl", rows)
    return ["data=categories", f"data.source.folder={folder}"]


# Colours that pictures are told apart by.
COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "yellow": (230, 220, 40)}
SHAPES = ("square", "circle", "cross", "bar")
SIZES = ("small", "large", "huge")
EDGE = 24


def write_pictures(folder: Path) -> list[str]:
    """Writes 48 pictures of coloured shapes with their captions; returns the overrides that read them."""
    from PIL import Image, ImageDraw

    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for colour, value in COLOURS.items():
        for shape in SHAPES:
            for number, size in enumerate(SIZES):
                picture = Image.new("RGB", (EDGE, EDGE), (255, 255, 255))
                near, far = 8 - 3 * number, 15 + 3 * number
                draw = ImageDraw.Draw(picture)
                if shape == "circle":
                    draw.ellipse((near, near, far, far), fill=value)
                elif shape == "square":
                    draw.rectangle((near, near, far, far), fill=value)
                else:
                    draw.rectangle((near, 10, far, 13), fill=value)
                if shape == "cross":
                    draw.rectangle((10, near, 13, far), fill=value)
                name = f"images/{size}_{colour}_{shape}.png"
                picture.save(folder / name)
                rows.append({"image": name, "caption": f"a {size} {colour} {shape}"})
    write_lines(folder / "captions.jsonl", rows)
    return ["data=pictures", f"data.source.folder={folder}"]


# A text-to-picture model that trains in a second.
SMALL_TOWERS = [
    "model=clip_small",
    f"model.image_size={EDGE}",
    "model.patch_size=8",
    "model.vision_layers=1",
    "model.vision_width=32",
    "model.text_layers=1",
    "model.text_width=32",
    "model.vocabulary_size=256",
    "model.dim=16",
]


def _document(item: Mapping[str, Any]) -> dict[str, Any]:
    use, _, thing = item["item_id"].partition("-")
    metadata = {"genres": [use], "director": f"A. {thing}", "actors": [], "year": 1990, "characters": [thing]}
    return {"_id": item["item_id"], "title": item["title"], "text": item["text"], "metadata": metadata}
