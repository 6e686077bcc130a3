"""Checksums against damage: a flipped bit, a cut file, a block that a disk lost. CRC-32 (zlib's), about 2 GB/s.

They protect from accidents, not from people: whoever can write a file can write its checksum. How to use them:

    sealed_yaml(text), sealed_json(object)      a text file that people read; the checksum is a line at its beginning
    read_sealed(path), read_sealed_json(path)   gives its text or its object back, or refuses it
    sealed_row(row), unsealed_row(line)         a line of a JSONL file that grows; the checksum is the row's first key
    whole_lines(content)                        its lines, without what a crash left of the last
    write_checksums(folder), check_folder(...)  binary files (a model, a checkpoint): `checksums.json` beside them
    sealed_tags(tags), check_tags(tags, ...)        tags of a tracking store, whose database has no checksums of its own
    check_file(path, checksum)                  one large file whose checksum stands elsewhere, read once a process

What was written without a checksum, by an earlier version or by hand, is read as it is.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hft.errors import DamagedError
from hft.parsing import parse_json

__all__ = [
    "CHECKSUMS_NAME",
    "SEAL_TAG",
    "check_file",
    "check_folder",
    "check_tags",
    "file_checksum",
    "read_sealed",
    "read_sealed_json",
    "sealed_json",
    "sealed_row",
    "sealed_tags",
    "sealed_yaml",
    "unsealed_row",
    "whole_lines",
    "write_checksums",
]

CHECKSUMS_NAME = "checksums.json"
SEAL_TAG = "hft.checksum"

_CHUNK_BYTES = 1 << 20
_HINT = "(crc32 of all other lines; delete this line if you changed them by hand)"
# A line of its own, at most below one other.
_SEAL = re.compile(rb'(?:# checksum: |  "checksum": ")([0-9a-f]{8}) ' + re.escape(_HINT.encode()) + rb'(?:",)?')
_ROW_SEAL = b'{"crc32": "%08x", '
_ROW_SEAL_BYTES = len(_ROW_SEAL % 0)
# A row whose first bytes differ from a right seal in so few has a damaged seal, and is no row without one.
_DAMAGED_SEAL_BYTES = 4

# Files of this process that were found whole: path, checksum, size, times and inode.
_whole: set[tuple[str | int, ...]] = set()


def file_checksum(path: str | os.PathLike[str]) -> str:
    """CRC-32 of a file's bytes, 8 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    found = 0
    buffer = bytearray(_CHUNK_BYTES)
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(buffer):
            found = zlib.crc32(memoryview(buffer)[:size], found)
    return f"{found:08x}"


def check_file(path: str | os.PathLike[str], checksum: str) -> None:
    """Compares a file with its checksum: once a process, as long as its size, its times and its inode stay.

    Raises:
        DamagedError: it is another. Says that the file is damaged; what to do about it is the caller's to add.
        OSError: it cannot be read.
    """
    stat = os.stat(path)
    known = (os.path.realpath(path), checksum, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    if known in _whole:
        return
    found = file_checksum(path)
    if found != checksum:
        raise DamagedError(f"{path}: is damaged: its checksum is {found}, it was written with {checksum}.")
    _whole.add(known)


def write_checksums(folder: str | os.PathLike[str], *, except_for: tuple[str, ...] = ()) -> None:
    """Writes `checksums.json` with the checksum of every file below a folder, the last thing in an atomic_folder.

    Args:
        folder: that nobody else writes to.
        except_for: names of files that nobody computes with (a README), which may be changed freely.

    Raises:
        OSError: the file cannot be written.
    """
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in except_for)
    names = {path.relative_to(folder).as_posix(): path for path in files if path != folder / CHECKSUMS_NAME}
    content = sealed_json({"files": {name: file_checksum(path) for name, path in names.items()}})
    (folder / CHECKSUMS_NAME).write_text(content, encoding="utf-8", newline="\n")


def check_folder(folder: str | os.PathLike[str], remedy: str) -> None:
    """Compares the files of a folder with its `checksums.json`, each once a process; without one all is taken as it is.

    Args:
        folder: as `write_checksums` left it.
        remedy: what the user can do, a sentence or two; added to the message.

    Raises:
        DamagedError: a file is damaged or missing.
    """
    folder = Path(folder)
    path = folder / CHECKSUMS_NAME
    try:
        files = read_sealed_json(path)["files"]
        checksums = {folder / str(name): str(checksum) for name, checksum in files.items()}
    except FileNotFoundError:
        return
    except DamagedError as error:
        raise DamagedError(f"{error} {remedy}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path}: is damaged: it is no list of checksums. {remedy}") from error
    accept = f"If you changed it on purpose, delete {path}."
    for file, checksum in checksums.items():
        try:
            check_file(file, checksum)
        except DamagedError as error:
            raise DamagedError(f"{error} {remedy} {accept}") from error
        except OSError as error:
            raise DamagedError(f"{file}: cannot be read: {error.strerror or error}. {remedy} {accept}") from error


def sealed_yaml(text: str) -> str:
    """A YAML document with a comment that is its checksum: its first line, or its second below `# @package`."""
    header, rest = "", text
    if text.startswith("# @package"):  # Hydra reads it above all other comments only
        header, _, rest = text.partition("\n")
        header += "\n"
    return f"{header}# checksum: {_crc32(text.encode())} {_HINT}\n{rest}"


def sealed_json(content: Mapping[str, Any], **options: Any) -> str:
    """An object as JSON, indented, its checksum as the first key, which `read_sealed` takes out again.

    Args:
        content: with a key at least.
        options: of json.dumps.
    """
    text = json.dumps(content, **{"indent": 2, "ensure_ascii": False, **options}) + "\n"
    rest = text.removeprefix("{\n")
    return f'{{\n  "checksum": "{_crc32(text.encode())} {_HINT}",\n{rest}'


def read_sealed(path: str | os.PathLike[str]) -> str:
    """The text of a YAML or JSON file, without its checksum where it has one.

    Raises:
        DamagedError: it is not what was written. Names the file and says what to do; whose it is may add more.
        UnicodeDecodeError: it has no checksum, and is no UTF-8.
        OSError: it cannot be read.
    """
    content = Path(path).read_bytes()
    lines = content.split(b"\n", 2)
    for number, line in enumerate(lines[:2]):
        if match := _SEAL.fullmatch(line):
            rest = b"\n".join([*lines[:number], *lines[number + 1 :]])
            if _crc32(rest) == match[1].decode():
                return rest.decode()
            break
    else:
        if _HINT.encode() not in b"\n".join(lines[:2]):
            return content.decode()
    raise DamagedError(
        f"{path}: is damaged, or was changed by hand: its content is not that of its checksum. Restore it from a copy; "
        "if you changed it on purpose, delete its line with the checksum, at its beginning."
    )


def read_sealed_json(path: str | os.PathLike[str]) -> Any:
    """What `sealed_json` wrote, without its checksum.

    Raises:
        DamagedError: it is not what was written, or no JSON at all.
        OSError: it cannot be read.
    """
    try:
        return parse_json(read_sealed(path))
    except ValueError as error:
        raise DamagedError(f"{path}: is damaged: it is no JSON ({error}). Restore it from a copy.") from error


def sealed_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags with one more, `hft.checksum`, which is theirs."""
    return {**tags, SEAL_TAG: _checksum_of_tags(tags)}


def check_tags(tags: Mapping[str, str], where: str, remedy: str) -> None:
    """Compares tags with their checksum; without one they are taken as they are.

    Args:
        tags: those that were sealed, and `hft.checksum`.
        where: they stand, for the message.
        remedy: what the user can do, a sentence.

    Raises:
        DamagedError: they are not what was written.
    """
    others = {name: value for name, value in tags.items() if name != SEAL_TAG}
    if tags.get(SEAL_TAG, _checksum_of_tags(others)) != _checksum_of_tags(others):
        raise DamagedError(f"{where}: its tags are damaged, or were changed by hand. {remedy}")


def _checksum_of_tags(tags: Mapping[str, str]) -> str:
    return _crc32(json.dumps(tags, sort_keys=True).encode())


def sealed_row(row: str) -> str:
    """A JSON object in a line, its checksum as the first key: `{"crc32": "1a2b3c4d", ...`.

    Args:
        row: the object as JSON, with a key at least, without a line end.
    """
    rest = row.removeprefix("{")
    return (_ROW_SEAL % zlib.crc32(rest.encode(errors="surrogatepass"))).decode() + rest


def unsealed_row(line: bytes) -> bytes:
    """The object of a line as JSON without its checksum; a line without one as it is.

    Raises:
        ValueError: it is damaged.
    """
    seal, rest = line[:_ROW_SEAL_BYTES], line[_ROW_SEAL_BYTES:]
    expected = _ROW_SEAL % zlib.crc32(rest)
    if seal == expected:
        return b"{" + rest
    different = sum(found != right for found, right in zip(seal, expected, strict=False))
    if seal.startswith(b'{"crc32": ') or (len(seal) == len(expected) and different <= _DAMAGED_SEAL_BYTES):
        raise ValueError("it is damaged: its content is not that of its checksum")
    return line


def whole_lines(content: bytes) -> list[bytes]:
    """The lines of a JSONL file that grows, without their ends and without the last one if a crash cut it off.

    Raises:
        ValueError: the end of the last line is damaged: it is whole but for that.
    """
    *lines, tail = content.split(b"\n")
    if tail[:-1].startswith(_ROW_SEAL[:10]) and tail[:-1] == _sealed(tail[:-1]):
        raise ValueError("the end of its last line is damaged")
    return lines


def _sealed(line: bytes) -> bytes:
    rest = line[_ROW_SEAL_BYTES:]
    return _ROW_SEAL % zlib.crc32(rest) + rest


def _crc32(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"
