"""What decides the data that a preparation gives: the content of files, the options, the code. Not where files lie."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.data.code_version import code_version
from hft.errors import StorageError
from hft.stores import StoreFolder, digest

if TYPE_CHECKING:
    from hft.data.source import SessionSource, Splitter
    from hft.data.sources.record_files import RecordFile

# The contents of large files are remembered by size, times and inode; smaller ones are read faster than remembered.
_REMEMBERED_BYTES = 8 << 20
# A file that was changed so lately may be changed again within one tick of its time: it is not remembered yet.
_UNSETTLED_SECONDS = 2.0
_FILES, _CONTENT_NAME = "files", "content"

Stats = tuple[tuple[int | str, ...], ...]


@dataclass(frozen=True)
class SourceIdentity:
    """What a source reads, and how. Two of the same contents and options give the same data.

    Args:
        files: each file by the part that it plays; where a name matters (ids made of it), the name is an option. A file
            in a store is what the store says of its state.
        options: plain values that JSON has: all else that decides what is read.
    """

    files: Mapping[str, Path | RecordFile]
    options: Mapping[str, Any]

    def stats(self) -> Stats:
        """Size, times and inode of each file, the state of one in a store: as long as they stay, the content does.

        Raises:
            OSError: a file is gone.
        """
        files = [file for _, file in sorted(self.files.items())]
        return tuple(_stat(file) if isinstance(file, Path) else file.state for file in files)


def is_known(part: object) -> bool:
    """Whether a part is hft's own and says what decides what it gives."""
    return _is_ours(part) and hasattr(part, "identity")


def told(component: Any) -> dict[str, Any] | None:
    """What decides what a component of hft's own does, as plain values; None of none.

    Raises:
        TypeError: it is somebody else's: nobody can tell.
    """
    if component is None:
        return None
    if not (_is_ours(component) and hasattr(component, "options")):
        raise TypeError(f"{type(component).__qualname__} does not say what decides what it does")
    return {"class": type(component).__qualname__, **component.options()}


def identity_of(source: SessionSource, splitter: Splitter) -> SourceIdentity | None:
    """The identity of a source of hft's own, where it has one and the splitter is hft's too; None otherwise.

    Nothing is known of what the code of others reads.
    """
    if not (is_known(source) and _is_ours(splitter)):
        return None
    try:
        found: SourceIdentity | None = source.identity()  # type: ignore[attr-defined]
        if found is not None:
            found.stats()
    except Exception:  # a file that is not there, not whole, not allowed: reading it says so in its words
        return None
    return found


def preparation_key(
    identity: SourceIdentity, source: SessionSource, splitter: Splitter, options: Mapping[str, Any], store: StoreFolder
) -> str | None:
    """The key of what a preparation gives; None where an option is no plain value.

    Args:
        identity: of the source.
        source, splitter: of hft's own.
        options: all others that decide.
        store: remembers the contents of large files.

    Raises:
        OSError: a file cannot be read.
    """
    told = {
        "source": [type(source).__qualname__, identity.options],
        "splitter": [type(splitter).__qualname__, vars(splitter)],
        "options": options,
    }
    try:
        plain = json.dumps(told, sort_keys=True)
    except (TypeError, ValueError):
        return None
    contents = [part for role, path in sorted(identity.files.items()) for part in (role, content_of(path, store))]
    return digest(code_version(), plain, *contents)


def content_of(path: Path | RecordFile, store: StoreFolder) -> str:
    """BLAKE2b-128 of a file's bytes, hexadecimal; of a large one that has not changed since, as remembered; of one in a
    store, of its address and state.

    Raises:
        OSError: it cannot be read.
    """
    if not isinstance(path, Path):
        return digest(*path.state)
    before = _stat(path)
    is_large = before[0] >= _REMEMBERED_BYTES
    key = digest(str(path.absolute()), *map(str, before))
    if is_large and (known := _remembered(store, key)) is not None:
        return known
    with open(path, "rb") as file:
        found = file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
    settled = time.time() - max(before[1], before[2]) / 1e9 > _UNSETTLED_SECONDS
    if is_large and settled and _stat(path) == before:
        try:
            with store.publish(_FILES, key) as folder:
                (folder / _CONTENT_NAME).write_text(found, encoding="ascii")
        except StorageError as error:
            store.say(str(error))
    return found


def _remembered(store: StoreFolder, key: str) -> str | None:
    entry = store.published(_FILES, key)
    try:
        return None if entry is None else (entry / _CONTENT_NAME).read_text(encoding="ascii")
    except OSError:
        return None


def _stat(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def _is_ours(part: object) -> bool:
    return type(part).__module__.startswith("hft.data.")
