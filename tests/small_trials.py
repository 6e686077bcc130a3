"""Small real trials: session files for the tiny BERT, and someone who listens as a sweep does."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from hft.running.trial import Trial
from hft.search.trial import TrialPruned

WORDS = ("server", "film", "path", "number", "list", "cinema", "message", "file", "answer", "night", "door", "tree")


def write_session_files(folder: Path) -> Path:
    """Session files: 60 queries, four shown items each, the second one picked."""
    items = [{"item_id": f"i{n}", "text": f"a {WORDS[n % 12]} and a {WORDS[n * 7 % 12]} number {n}"} for n in range(48)]
    sessions = [
        {
            "session_id": f"s{n}",
            "query": f"{WORDS[n % 12]} {WORDS[n // 12]} {n}",
            "results": [f"i{(n * 5 + place * 11) % 48}" for place in range(4)],
            "events": [f"i{(n * 5 + 11) % 48}"],
        }
        for n in range(60)
    ]
    for name, rows in (("items", items), ("sessions", sessions)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def small_overrides(files: Path, model: Path) -> list[str]:
    """A training of a tiny model on session files that takes a fraction of a second."""
    return [
        "data=sessions",
        f"data.source.sessions={files}/sessions.jsonl",
        f"data.source.items={files}/items.jsonl",
        "model=local",
        f"model.source={model}",
        "model.max_length=32",
        "model.dropout=0.2",
        "settings.batch_size=8",
        "settings.negatives=both",
        "params.items_lr=1e-3",
        "params.query_lr=1e-3",
        "trainer=cpu",
        "trainer.enable_progress_bar=false",
        "tracking=csv",
        "threads=1",
    ]


@dataclass
class Listener:
    """Stands where the sweep stands: keeps what a trial reports, and stops it at a report.

    Args:
        stops_at: ordinal of the report that is one too many; None: none is.
    """

    stops_at: int | None = None
    heard: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, value: float, ordinal: int) -> None:
        self.heard.append((ordinal, value))
        if ordinal == self.stops_at:
            raise TrialPruned(f"report {ordinal} is worse than the others")

    def trial(self, number: int = 0, *metrics: str) -> Trial:
        """A search trial that reports here."""
        return Trial(number, "sweeps/small", metrics, report=self)
