"""The bytes of a file in a store, read range by range: a range that fails is asked for again, from where it broke."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hft.data.sources.retrying import Retrying, ShortAnswerError
from hft.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Of one request: larger ones cost memory, smaller ones time.
RANGE_BYTES = 4 << 20
_MARKS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "size")
# What stores call the state of a file. Equal states mean equal bytes.
_STATES = ("ETag", "etag", "generation", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime",
           "created", "size")  # fmt: skip


def state_of(info: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells this content of a file from another: its etag, times, size; without any but the size, nothing."""
    found = tuple(f"{name}={info[name]}" for name in _STATES if info.get(name) is not None)
    return found if len(found) > 1 else ()


def differs(info: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two accounts of a file are of different contents. A listing and a look at one file may format times
    in two ways, so times do not count."""
    return any(name in info and name in other and info[name] != other[name] for name in _MARKS)


class RemoteBytes(io.RawIOBase):
    """A file in a store, from its start, or from anywhere. Wrap it in io.BufferedReader to read lines.

    A range that breaks off gives what came of it, and the next one starts there: nothing is lost or comes twice.

    Args:
        system: an fsspec file system.
        path: of the file, as the system knows it.
        place: of the file, for messages.
        retrying: what is done when a request fails.
        listed: the account of the file where it was listed: it is to be the same still.

    Raises:
        DataError: the file was changed while it was read.
        OSError: a request failed, and did so again.
    """

    def __init__(
        self, system: Any, path: str, place: str, retrying: Retrying, listed: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self._system = system
        self._path = path
        self._place = place
        self._retrying = retrying
        info = self._info()
        self._as_listed = info if listed is None else listed
        self._require_unchanged(info)
        if info.get("size") is None:
            raise DataError(f"{place}: the server does not tell how large it is, so it cannot be read in parts.")
        self._size = int(info["size"])
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        self._position = max(starts[whence] + offset, 0)
        return self._position

    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._size)
        if end <= self._position:
            self._require_unchanged(self._info())
            return 0
        attempt = 0
        while True:
            try:
                found = self._range(end)
                break
            except Exception as error:
                attempt += 1
                if not self._retrying.waits(attempt, error):
                    raise
                self._require_unchanged(self._info())
        view[: len(found)] = found
        self._position += len(found)
        return len(found)

    def _range(self, end: int) -> bytes:
        found = bytes(self._system.cat_file(self._path, start=self._position, end=end))
        asked = end - self._position
        if not found:
            raise ShortAnswerError(f"no bytes came of {asked} at {self._position}")
        if len(found) > asked:
            raise DataError(f"{self._place}: the server does not give parts of files, only whole ones. Download it.")
        return found

    def _info(self) -> Mapping[str, Any]:
        attempt = 0
        while True:
            try:
                found: Mapping[str, Any] = self._system.info(self._path)
                return found
            except Exception as error:
                attempt += 1
                if not self._retrying.waits(attempt, error):
                    raise

    def _require_unchanged(self, info: Mapping[str, Any]) -> None:
        if differs(info, self._as_listed):
            raise DataError(f"{self._place}: it was changed while it was read. Read it again once it is at rest.")
