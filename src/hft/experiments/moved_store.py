"""A local tracking store that was copied or moved: MLflow writes whole addresses, which lead to the old place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

_LOCK_SECONDS = 5

# Columns with addresses of what lies beside the store.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def follow_move(file: Path, root: Path) -> None:
    """Rewrites the addresses of a store's artifacts to where they lie now, all or none.

    Only places that hft gave out are rewritten: a folder of the name of `root` beside another store. One that holds
    artifacts of a run that `root` lacks stays: then the store alone was copied.

    Args:
        file: of the store, which exists.
        root: where its artifacts lie, beside it.

    Raises:
        sqlite3.Error: the store cannot be read or written.
    """
    with closing(sqlite3.connect(file, timeout=_LOCK_SECONDS)) as connection, connection:
        if not {"experiments", "runs"} <= _tables(connection):
            return
        for before in _roots(connection, root):
            if not _is_elsewhere(connection, before, root):
                _rewrite(connection, before.parent, root.parent)


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _roots(connection: sqlite3.Connection, root: Path) -> list[Path]:
    """Places beside which this store lay before."""
    found = set()
    for (location,) in connection.execute("SELECT artifact_location FROM experiments"):
        address = urlsplit(location or "")
        if address.scheme == "file":
            folder = Path(url2pathname(address.path))
            found |= {place for place in (folder, folder.parent) if place.name == root.name}
    return sorted(place for place in found if place != root and not _same(place, root))


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder, which need not be there."""
    return one.resolve() == other.resolve()


def _is_elsewhere(connection: sqlite3.Connection, before: Path, root: Path) -> bool:
    """Whether artifacts lie in the old place and not in the present one."""
    for (address,) in connection.execute("SELECT artifact_uri FROM runs"):
        folder = Path(url2pathname(urlsplit(address or "").path))
        if folder.is_relative_to(before) and folder.is_dir() and not (root / folder.relative_to(before)).is_dir():
            return True
    return False


def _rewrite(connection: sqlite3.Connection, before: Path, now: Path) -> None:
    tables = _tables(connection)
    old, new = f"{before.as_uri().rstrip('/')}/", f"{now.as_uri().rstrip('/')}/"
    for table, column in _ADDRESSES:
        if table in tables:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old), old),
            )
