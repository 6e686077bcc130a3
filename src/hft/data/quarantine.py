"""Where malformed lines go: a file with their place, the reason and the line itself. None is lost or
fatal."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

from hft.errors import DataError
from hft.files import atomic_write, storage_errors


class Quarantine:
    """Sets lines aside while a source is read, and stops the run when they are too many.

    Each becomes one JSON object a line: `file`, `line` (from 1), `reason`, `raw` (the line as it stood;
    bytes that are not UTF-8 as \\xNN), `kept` (true where the line was mended rather than left out).

    Args:
        path: the file to write, made at the first line set aside; None counts only.
        max_share: share of a file's lines that may be left out, 0..1.
    """

    def __init__(self, path: Path | str | None = None, max_share: float = 0.01) -> None:
        self.path = None if path is None else Path(path)
        self.max_share = max_share
        self.read: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
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
        self._write(file, line, reason, raw, kept=False)

    def mended(self, file: Path | str, line: int, reason: str, raw: str | bytes) -> None:
        """Note a line of which a part was left out and the rest is used; it does not count for the share."""
        self._write(file, line, reason, raw, kept=True)

    def _write(self, file: Path | str, line: int, reason: str, raw: str | bytes, *, kept: bool) -> None:
        self.reasons[reason] += 1
        if self.path is None:
            return
        if self._file is None:
            self._file = self._stack.enter_context(atomic_write(self.path))
        text = raw.decode("utf-8", errors="backslashreplace") if isinstance(raw, bytes) else raw
        entry = {"file": str(file), "line": line, "reason": reason, "raw": text, "kept": kept}
        # ASCII, because a lone surrogate in `raw` has no UTF-8 form.
        with storage_errors(self.path):
            self._file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """Finish the quarantine file. Safe to call twice."""
        self._file = None
        self._stack.close()

    def check(self, file: Path | str) -> None:
        """Stop if too large a share of this file was left out. Called when the file has been read.

        Raises:
            DataError: the share is above `max_share`.
        """
        left_out, read = self.left_out[str(file)], self.read[str(file)]
        if left_out == 0 or left_out <= self.max_share * read:
            return
        self.close()
        reason, count = self.reasons.most_common(1)[0]
        where = "(no quarantine file was asked for)" if self.path is None else f"They are in {self.path}."
        raise DataError(
            f"{file}: {left_out} of {read} lines ({left_out / max(read, 1):.1%}) cannot be used, more than "
            f"the {self.max_share:.1%} that data.max_quarantined_share allows. Most frequent: {reason} "
            f"({count}). {where} Mend the file, or raise data.max_quarantined_share to go on "
            f"without these lines."
        )
