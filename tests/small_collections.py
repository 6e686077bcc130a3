"""Writes small real collections: click logs as session files, and a labelled collection in the BEIR layout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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


def _document(item: Mapping[str, Any]) -> dict[str, Any]:
    use, _, thing = item["item_id"].partition("-")
    metadata = {"genres": [use], "director": f"A. {thing}", "actors": [], "year": 1990, "characters": [thing]}
    return {"_id": item["item_id"], "title": item["title"], "text": item["text"], "metadata": metadata}
