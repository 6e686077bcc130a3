"""What the pre-flight check found, all of it at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from hft.errors import ConfigError
from hft.redaction import redacted


class CheckFailedError(ConfigError):
    """A config that the pre-flight check refuses. The message is the whole report.

    Args:
        report: what was found.
    """

    def __init__(self, report: CheckReport) -> None:
        super().__init__(report.text())
        self.report = report


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth a look.

    Args:
        where: the dotted config key, the override as it was typed, or file:line.
        found: what is there.
        allowed: what may be there.
        nearest: the right spelling that is nearest to what was found.
        advice: what to do.
    """

    where: str
    found: str
    allowed: str | None = None
    nearest: str | None = None
    advice: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.found}"]
        if self.nearest:
            lines.append(f"did you mean {self.nearest}?")
        if self.allowed:
            lines.append(f"allowed: {self.allowed}")
        if self.advice:
            lines.append(self.advice)
        return "\n    ".join(lines)


@dataclass
class CheckReport:
    """Errors refuse a run; warnings and notes do not. A note says what could not be verified.

    `run_folder` is where a single run would land, as far as that can be told before it begins.
    """

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    run_folder: str | None = None

    @property
    def ok(self) -> bool:
        return not self.errors

    def add(self, other: CheckReport, suffix: str = "") -> None:
        """Take over what another report found and this one has not; `suffix` says when it holds."""
        for mine, theirs in (
            (self.errors, other.errors),
            (self.warnings, other.warnings),
            (self.notes, other.notes),
        ):
            for finding in theirs:
                if finding not in mine:
                    mine.append(
                        Finding(finding.where, finding.found + suffix, finding.allowed, finding.nearest, finding.advice)
                    )

    def text(self) -> str:
        """The report for a terminal: errors first, then warnings, notes, and a line that counts them."""
        kinds = (("error", self.errors), ("warning", self.warnings), ("note", self.notes))
        lines = [redacted(f"{kind}: {finding}") for kind, findings in kinds for finding in findings]
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        """How many errors and warnings, in words."""
        if not self.errors and not self.warnings:
            return "config: nothing wrong was found"
        return f"config: {_count(len(self.errors), 'error')}, {_count(len(self.warnings), 'warning')}"

    def to_dict(self) -> dict[str, Any]:
        """The report for scripts: `ok`, and lists of findings."""
        return {
            "ok": self.ok,
            "errors": [_without_secrets(finding) for finding in self.errors],
            "warnings": [_without_secrets(finding) for finding in self.warnings],
            "notes": [_without_secrets(finding) for finding in self.notes],
        }

    def raise_errors(self, otherwise: Exception | None = None) -> None:
        """Refuse a config with errors.

        Args:
            otherwise: an exception to report when the check found no error although this was raised.

        Raises:
            CheckFailedError: there is an error.
        """
        if self.ok and otherwise is not None:
            self.errors.append(Finding("config", first_line(otherwise)))
        if not self.ok:
            raise CheckFailedError(self) from otherwise


def _without_secrets(finding: Finding) -> dict[str, Any]:
    return {name: redacted(text) if text is not None else None for name, text in asdict(finding).items()}


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option that is spelt most like a word; None where none is alike."""
    by_folded = {str(option).casefold(): str(option) for option in options}
    matches = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def listed(options: Iterable[str], limit: int = 30) -> str | None:
    """Options in a line, cut after `limit`; None where there are none."""
    names = [str(option) for option in options]
    if not names:
        return None
    return ", ".join(names[:limit]) + (f", and {len(names) - limit} more" if len(names) > limit else "")


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its kind where it has none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
