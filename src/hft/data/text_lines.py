"""Lines of text files, plain or gzipped, as bytes with their numbers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from hft.errors import DataError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without its end) for each line that is not blank.

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
                if stripped.strip():
                    yield number, stripped
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the gzip file is cut off or damaged after line {number} ({error}). "
            f"How much is lost cannot be told, so nothing of it is used. Copy or download it anew."
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}. Check the path.") from error


def decoded(line: bytes) -> str | None:
    """The line as text, None where it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def without_gz(path: Path) -> str:
    """The suffix that tells the format, lower case: `.jsonl` of `clicks.JSONL.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return open(path, "rb")
