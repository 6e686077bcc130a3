"""steps.jsonl: one line a training step or validation, written so that a crash costs at most the last line."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from hft.checksums import sealed_row, unsealed_row, whole_lines
from hft.errors import DataError
from hft.files import atomic_write, storage_errors
from hft.parsing import parse_json

Row = dict[str, Any]

# Values that differ between two equal runs: neither hashed nor compared.
_VOLATILE_NAMES = frozenset({"time", "seconds"})
_VOLATILE_ENDINGS = ("_seconds", "_per_second", "_bytes")
_NOT_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class StepsWriter:
    """Appends rows to a steps file. Each row is on its way to the disk when `write` returns.

    Floats keep every digit; those that JSON lacks are written as the strings `nan`, `inf` and `-inf`.

    Args:
        path: the file; a torn last line that a crash left there is cut off.
        keep: when a run resumes: how many rows stay. Those behind come again, and get the times that they had.

    Attributes:
        rows: of the file when it was opened.
        count: of the file now.
    """

    def __init__(self, path: str | os.PathLike[str], keep: int | None = None) -> None:
        self.path = Path(path)
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                _cut_tail(self.path)
            found = read_steps(self.path) if self.path.exists() else []
            self.rows, self._again = found[:keep], found[len(found[:keep]) :]
            self.count = len(self.rows)
            if self._again:
                _keep_rows(self.path, self.count)
            self._file = self.path.open("a", encoding="utf-8", newline="\n")

    def write(self, row: Mapping[str, Any]) -> Row:
        """Appends one row (`step`, `epoch`, then names and values) and adds `time`, seconds since 1970.

        Returns:
            the row as `read_steps` gives it back.
        """
        plain = {name: _plain(value) for name, value in row.items()}
        earlier = self._again.pop(0) if self._again else None
        if earlier is not None and steps_hash([earlier]) == steps_hash([plain]):
            plain = earlier  # so that a store which has the row already does not take it for another one
        plain.setdefault("time", round(time.time(), 3))
        line = json.dumps({name: _json(value) for name, value in plain.items()}, allow_nan=False)
        with storage_errors(self.path):
            self._file.write(sealed_row(line) + "\n")
            self._file.flush()
        self.count += 1
        return plain

    def close(self) -> None:
        """Flushes to disk and closes; closing twice is harmless."""
        if self._file.closed:
            return
        with storage_errors(self.path), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def __enter__(self) -> StepsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_steps(path: str | os.PathLike[str]) -> list[Row]:
    """Reads a steps file. A torn last line, as a crash leaves it, is not an error: it is left out.

    Raises:
        DataError: the file is missing, or a line before the last is not a row.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the steps of the run cannot be read: {error.strerror}.") from error
    rows = []
    try:
        lines = whole_lines(content)
    except ValueError as error:
        raise _broken(path, str(error)) from error
    for number, line in enumerate(lines, start=1):
        try:
            row = _parse(unsealed_row(line))
        except ValueError as error:
            raise _broken(f"{path}:{number}", str(error)) from error
        if row is None:
            raise _broken(f"{path}:{number}", "is not a row of a steps file (a JSON object with `step`)")
        rows.append(row)
    return rows


def steps_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over all values of all rows but those that time a run (`time`, `*_seconds`, `*_per_second`)."""
    digest = hashlib.sha256()
    for row in rows:
        kept = {name: _json(value) for name, value in repeatable(row).items()}
        digest.update(json.dumps(kept, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def repeatable(row: Mapping[str, Any]) -> Row:
    """The values of a row that an equal run repeats: all but times, rates and memory."""
    return {
        name: value
        for name, value in row.items()
        if name not in _VOLATILE_NAMES and not name.endswith(_VOLATILE_ENDINGS)
    }


def _plain(value: Any) -> Any:
    """A Python number of a NumPy or torch scalar; anything else as it is."""
    return value.item() if hasattr(value, "item") else value


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _parse(line: bytes) -> Row | None:
    try:
        row = parse_json(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or "step" not in row:
        return None
    return {name: _NOT_NUMBERS.get(value, value) if isinstance(value, str) else value for name, value in row.items()}


def _broken(where: Path | str, reason: str) -> DataError:
    return DataError(
        f"{where}: {reason}. The file was changed after the run; restore it from a copy or from the tracking store."
    )


def _cut_tail(path: Path) -> None:
    """Cuts a torn last line off."""
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    if complete != content:
        _replace(path, complete)


def _keep_rows(path: Path, count: int) -> None:
    _replace(path, b"".join(path.read_bytes().splitlines(keepends=True)[:count]))


def _replace(path: Path, content: bytes) -> None:
    with atomic_write(path, "wb") as file:
        file.write(content)
