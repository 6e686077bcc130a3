"""Where malformed lines go: a file with their place, the reason and the line itself. None is lost or
fatal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

from hft.errors import DataError
from hft.files import atomic_write, storage_errors

# So many malformed lines of a file stop no run, whatever their share, if at least half of the file is good.
ALWAYS_ALLOWED = 10
# Characters of a line that are kept.
MOST_RAW = 100_000
_REASONS_TOLD = 3
_EXAMPLES_TOLD = 3


class Quarantine:
    """Sets lines aside while a source is read, and stops the run when they are too many.

    Each becomes one JSON object a line: `file`, `line` (from 1), `reason`, `raw` (the line as it stood; bytes
    that are not UTF-8 as \\xNN; of a long one its first MOST_RAW characters), `kept` (true where the line was
    mended rather than left out), and then `left_out` (what of it, for example ids of results).

    Args:
        path: the file to write, made at the first line set aside; None counts only.
        max_share: share of a file's lines that may be left out, 0..1. Up to ALWAYS_ALLOWED lines may be left
            out besides, though never more than half of a file; 0 allows none.
        max_text_length: characters of a query or of an item's text; None: any number.
    """

    def __init__(
        self, path: Path | str | None = None, max_share: float = 0.01, max_text_length: int | None = None
    ) -> None:
        self.path = None if path is None else Path(path)
        self.max_share = max_share
        self.max_text_length = max_text_length
        self.read: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._reasons_of: dict[str, Counter[str]] = {}
        self._examples: dict[str, dict[str, None]] = {}
        self._stack = ExitStack()
        self._file: TextIO | None = None

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def count(self) -> int:
        """Lines left out, over all files."""
        return sum(self.left_out.values())

    @property
    def written(self) -> Path | None:
        """The quarantine file, once a line went into it."""
        return self.path if self.reasons else None

    def saw(self, file: Path | str, lines: int = 1) -> None:
        """Count lines read, so that a share can be told."""
        self.read[str(file)] += lines

    def add(self, file: Path | str, line: int, reason: str, raw: str | bytes) -> None:
        """Set a line aside: it is left out of the data.

        Args:
            file: where it stands.
            line: its number, from 1.
            reason: what is wrong with it. Equal faults should have equal reasons: they are counted together.
            raw: the line.

        Raises:
            StorageError: the quarantine file cannot be written.
        """
        self.left_out[str(file)] += 1
        self._reasons_of.setdefault(str(file), Counter())[reason] += 1
        self._write(file, line, reason, raw, kept=False)

    def mended(self, file: Path | str, line: int, reason: str, raw: str | bytes, examples: Sequence[str] = ()) -> None:
        """Note a line of which a part was left out and the rest is used; it does not count for the share.

        Args:
            file: where it stands.
            line: its number, from 1.
            reason: why a part was left out.
            raw: the line.
            examples: what was left out; all are listed, and the first of a reason are named in the report.
        """
        named = self._examples.setdefault(reason, {})
        named.update(dict.fromkeys(examples[: _EXAMPLES_TOLD - len(named)]))
        self._write(file, line, reason, raw, kept=True, left_out=examples)

    def cut(self, text: str, what: str, file: Path | str, line: int) -> str:
        """A text, or as much of it as may be read, which is noted then.

        Args:
            text: a query's or an item's.
            what: it is, in the plural.
            file: where it stands.
            line: its number, from 1.
        """
        if self.max_text_length is None or len(text) <= self.max_text_length:
            return text
        reason = f"{what} of more than {self.max_text_length:,} characters were cut there (data.max_text_length)"
        self.mended(file, line, reason, text)
        return text[: self.max_text_length].rstrip()

    def dropped(self, file: Path | str, line: int, reason: str, raw: str | bytes) -> None:
        """Note a line that is well formed and left out all the same; it does not count for the share.

        Args:
            file: where it stands.
            line: its number, from 1.
            reason: why it was left out.
            raw: the line.
        """
        self._write(file, line, reason, raw, kept=False)

    def _write(
        self, file: Path | str, line: int, reason: str, raw: str | bytes, *, kept: bool, left_out: Sequence[str] = ()
    ) -> None:
        self.reasons[reason] += 1
        if self.path is None:
            return
        if self._file is None:
            self._file = self._stack.enter_context(atomic_write(self.path))
        # A character has four bytes at most.
        raw = raw[: 4 * MOST_RAW] if len(raw) > 4 * MOST_RAW else raw
        text = (raw.decode("utf-8", errors="backslashreplace") if isinstance(raw, bytes) else raw)[:MOST_RAW]
        entry = {"file": str(file), "line": line, "reason": reason, "raw": text, "kept": kept}
        entry |= {"left_out": list(left_out)} if left_out else {}
        # ASCII, because a lone surrogate in `raw` has no UTF-8 form.
        with storage_errors(self.path):
            self._file.write(json.dumps(entry) + "\n")

    def told_reasons(self) -> dict[str, int]:
        """How often each reason was given, the first examples named."""
        told = {}
        for reason, count in self.reasons.items():
            named = ", ".join(map(repr, self._examples.get(reason, ())))
            told[f"{reason} (first: {named})" if named else reason] = count
        return told

    def is_too_full(self, file: Path | str) -> bool:
        """Whether more of this file was left out than is allowed."""
        left_out, read = self.left_out[str(file)], self.read[str(file)]
        few = min(ALWAYS_ALLOWED, read // 2) if self.max_share > 0 else 0
        return left_out > max(self.max_share * read, few)

    def close(self) -> None:
        """Finish the quarantine file. Safe to call twice."""
        self._file = None
        self._stack.close()

    def check(self, file: Path | str) -> None:
        """Stop if too much of this file was left out. Called when the file has been read.

        Raises:
            DataError: more than `max_share` and the few lines that are always allowed.
        """
        if not self.is_too_full(file):
            return
        self.close()
        left_out, read = self.left_out[str(file)], self.read[str(file)]
        frequent = self._reasons_of[str(file)].most_common(_REASONS_TOLD)
        reasons = "; ".join(f"{reason} ({count})" for reason, count in frequent)
        where = "(no quarantine file was asked for)" if self.path is None else f"They are in {self.path}."
        raise DataError(
            f"{file}: {left_out} of {read} lines ({left_out / max(read, 1):.1%}) cannot be used, more than "
            f"the {self.max_share:.1%} that data.max_quarantined_share allows. Most frequent: "
            f"{reasons}. {where} Mend the file, or raise data.max_quarantined_share to go on "
            f"without these lines."
        )
