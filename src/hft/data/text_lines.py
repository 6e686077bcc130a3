"""Lines of text files, plain or gzipped, as bytes with their numbers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from hft.data.sources.stores import in_words
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.sources.record_files import RecordFile

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def numbered_lines(path: Path | RecordFile, with_blank: bool = False) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without its end) for each line that is not blank.

    Args:
        path: the file.
        with_blank: give the blank lines too.

    Raises:
        DataError: the file cannot be read, or a gzip file is cut off or damaged.
    """
    number = 0
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, start=1):
                stripped = line.rstrip(b"\r\n")
                if number == 1:
                    stripped = stripped.removeprefix(_BYTE_ORDER_MARK)
                if with_blank or stripped.strip():
                    yield number, stripped
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the gzip file is cut off or damaged after line {number} ({error}). "
            f"How much is lost cannot be told, so nothing of it is used. Copy or download it anew."
        ) from error
    except DataError:
        raise
    except Exception as error:
        if not isinstance(path, Path):
            raise DataError(in_words(str(path), str(path), error)) from None
        if not isinstance(error, OSError):
            raise
        raise DataError(f"{path}: cannot be read: {error.strerror or error}. Check the path.") from error


def decoded(line: bytes) -> str | None:
    """The line as text, None where it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def without_gz(path: Path | RecordFile) -> str:
    """The suffix that tells the format, lower case: `.jsonl` of `clicks.JSONL.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def is_gzipped(path: Path | RecordFile) -> bool:
    """Whether the suffix says so."""
    return path.name.lower().endswith(".gz")


@contextmanager
def _opened(path: Path | RecordFile) -> Iterator[IO[bytes]]:
    with open(path, "rb") if isinstance(path, Path) else path.open() as file:
        if not is_gzipped(path):
            yield file
            return
        with gzip.open(file, "rb") as plain:
            yield cast("IO[bytes]", plain)
