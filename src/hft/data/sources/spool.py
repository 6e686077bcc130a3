"""Rows put together by a key without holding them in memory: they lie in a temporary file of SQLite meanwhile."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType

from hft.errors import StorageError

_BLOCK = 20_000


class Spool:
    """Keeps (key, body) pairs on disk and gives them back by key, in the order in which they came.

    Raises:
        StorageError: the disk of the folder for temporary files is full.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hft-spool-", ignore_cleanup_errors=True)
        self._database = sqlite3.connect(Path(self._folder.name) / "rows.db", isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-32768"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE rows (key TEXT NOT NULL, body BLOB NOT NULL)")
        self._waiting: list[tuple[str, bytes]] = []
        self._indexed = False
        self.count = 0
        self.given = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, key: str, body: bytes) -> None:
        """Keep a row."""
        self._waiting.append((key, body))
        self.count += 1
        if len(self._waiting) >= _BLOCK:
            self._flush()

    def of(self, keys: Sequence[str]) -> dict[str, list[bytes]]:
        """The rows of some keys (at most 30,000); a key without rows is left out."""
        self._flush()
        if not self._indexed:
            self._do("CREATE INDEX by_key ON rows (key)")
            self._indexed = True
        marks = ",".join("?" * len(keys))
        found: dict[str, list[bytes]] = {}
        for key, body in self._do(f"SELECT key, body FROM rows WHERE key IN ({marks}) ORDER BY rowid", keys):
            found.setdefault(key, []).append(body)
        self.given += sum(map(len, found.values()))
        return found

    @property
    def unclaimed(self) -> int:
        """Rows that nobody has asked for by their key, if nobody asked twice."""
        return max(self.count - self.given, 0)

    def groups(self) -> Iterator[tuple[str, list[bytes]]]:
        """All keys, sorted, each with its rows."""
        self._flush()
        rows = self._do("SELECT key, body FROM rows ORDER BY key, rowid")
        for key, of_key in groupby(rows, key=itemgetter(0)):
            yield key, [body for _, body in of_key]

    def close(self) -> None:
        """Take the file away. Safe to call twice."""
        self._database.close()
        self._folder.cleanup()

    def _flush(self) -> None:
        if not self._waiting:
            return
        try:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO rows VALUES (?, ?)", self._waiting)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error) from error
        self._waiting.clear()

    def _do(self, statement: str, values: Sequence[str] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: sqlite3.Error) -> StorageError:
        return StorageError(
            f"{self._folder.name}: rows cannot be sorted there ({error}). Make room, or let TMPDIR name another folder."
        )
