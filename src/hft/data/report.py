"""What was read, left out and kept: the data's part of a run's report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from hft.data.leakage import leakage_line


@dataclass(frozen=True)
class SplitCounts:
    """Counts of one split.

    Args:
        sessions: sessions kept.
        queries: distinct query texts.
        results: results shown, over all sessions.
        events: results with an event.
        irrelevant: sessions flagged as irrelevant.
        pool: items that evaluation ranks for each query; None where it re-ranks the shown list, or never
            ranks.
    """

    sessions: int
    queries: int
    results: int
    events: int
    irrelevant: int
    pool: int | None = None


@dataclass(frozen=True)
class PreparationReport:
    """Counts of a preparation.

    Args:
        items: items kept.
        read: lines read, by file.
        quarantined: lines set aside, by file.
        reasons: lines set aside or mended, by reason.
        dropped: sessions (and items) left out after reading, by reason.
        converted: what the converter changed in the sessions that are left, in words, with how often.
        splits: counts by split.
        leakage: what of validation and of test training has seen (see hft.data.leakage), by split.
        learns_from: what says which items are relevant to a query in training; empty where nobody knows.
        notes: further lines for people.
        item_fields: the fields that made the items' texts, by name of the source (`` of a single one).
        warnings: of what a model cannot see in these texts.
        quarantine_file: where the lines set aside are; None where there are none, or no file was wanted.
        seconds: how long the preparation took.
    """

    items: int
    read: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    converted: dict[str, int] = field(default_factory=dict)
    splits: dict[str, SplitCounts] = field(default_factory=dict)
    leakage: dict[str, dict[str, int]] = field(default_factory=dict)
    learns_from: str = ""
    notes: tuple[str, ...] = ()
    item_fields: dict[str, list[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    quarantine_file: str | None = None
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """The report as lines for the terminal."""
        lines = [f"{self.items:,} items{self.texts_line()}"]
        if self.learns_from:
            lines.append(f"learns from: {self.learns_from}")
        for name, counts in self.splits.items():
            line = f"{name}: {counts.sessions:,} sessions, {counts.queries:,} queries, {counts.events:,} events"
            line += f" on {counts.results:,} shown results"
            if counts.irrelevant:
                line += f", {counts.irrelevant:,} irrelevant"
            if counts.pool is not None:
                line += f"; each query ranks {counts.pool:,} items"
            lines.append(line)
        lines += [leakage_line(split, found) for split, found in self.leakage.items()]
        lines += [f"left out: {count:,} {reason}" for reason, count in self.dropped.items() if count]
        lines += [f"changed: {count:,} {what}" for what, count in self.converted.items() if count]
        for file, count in self.quarantined.items():
            if count:
                lines.append(f"quarantined: {count:,} of {self.read.get(file, count):,} lines of {file}")
        if self.reasons and not any(self.quarantined.values()):
            lines.append("quarantined: parts of lines; the rest of them is used")
        lines += [f"  {count:,} x {reason}" for reason, count in sorted(self.reasons.items())]
        if self.quarantine_file is not None:
            lines.append(f"  kept with line numbers and reasons in {self.quarantine_file}")
        return [*lines, *self.notes, *(f"warning: {warning}" for warning in self.warnings)]

    def texts_line(self) -> str:
        """Of which fields the items' texts were made, to follow on what was counted; empty where nobody knows."""
        if not self.item_fields:
            return ""
        told = {name: ", ".join(fields) or "all fields" for name, fields in self.item_fields.items()}
        if len(set(told.values())) == 1:
            return f", their texts made of {next(iter(told.values()))}"
        return ", their texts made of " + "; ".join(f"{words} ({name})" for name, words in told.items())

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)
