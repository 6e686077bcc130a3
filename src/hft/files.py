"""Files that matter: written under a temporary name beside the target, flushed to disk, then renamed.

A reader sees the old content or the new, never half of one. Whatever the system refuses (a full disk, a
folder that is not writable) becomes one StorageError that names the path, and no temporary file stays.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

from hft.errors import HftError, StorageError

__all__ = ["atomic_folder", "atomic_write", "sha256_file", "sha256_folder", "storage_errors"]

# Below this the disk counts as full: native writers (safetensors, torch) report a full disk in their own
# words and types, so that only the free space tells.
_FULL_DISK_BYTES = 1 << 20
_HASH_CHUNK_BYTES = 1 << 20

PathLike = str | os.PathLike[str]


@overload
def atomic_write(
    path: PathLike, mode: Literal["w"] = "w", *, durable: bool = True
) -> AbstractContextManager[TextIO]: ...
@overload
def atomic_write(path: PathLike, mode: Literal["wb"], *, durable: bool = True) -> AbstractContextManager[BinaryIO]: ...
def atomic_write(path: PathLike, mode: Literal["w", "wb"] = "w", *, durable: bool = True) -> Any:
    """Opens a file for writing that appears under `path` only when the block has ended without an error.

    Text is UTF-8 with `\\n` line ends. Missing parent folders are made.

    Args:
        path: of the file.
        mode: `w` for text, `wb` for bytes.
        durable: waits until the disk has it, which takes some 10 ms. False for what is written often and can be made
            again from another file: a killed process leaves it whole all the same, but a computer that loses its
            power may leave it old, empty or cut.

    Raises:
        StorageError: the system refused a write; what stood at `path` before stands there still.
    """
    return _atomic_write(Path(path), mode, durable)


@contextmanager
def _atomic_write(path: Path, mode: Literal["w", "wb"], durable: bool) -> Iterator[IO[Any]]:
    temporary = _temporary_name(path)
    with storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _create(temporary, mode) as file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
            if durable:
                _sync_folder(path.parent)
        except BaseException as error:
            full = _disk_is_full(path.parent)  # asked before the space is given back
            temporary.unlink(missing_ok=True)
            _raise_storage_error(error, path, full)
            raise


@contextmanager
def atomic_folder(path: PathLike, *, durable: bool = True) -> Iterator[Path]:
    """Gives an empty folder beside `path` to fill; it takes the name `path` when the block has ended well.

    A folder that stands at `path` is replaced whole: set aside, and put back if the new one cannot take its
    place.

    Args:
        path: of the folder.
        durable: as of `atomic_write`.

    Raises:
        StorageError: the system refused a write; what stood at `path` before stands there still.
    """
    path = Path(path)
    temporary = _temporary_name(path)
    with storage_errors(path):
        try:
            temporary.mkdir(parents=True)
            yield temporary
            if durable:
                for file in sorted(temporary.rglob("*")):
                    _sync_file(file)
                _sync_folder(temporary)
            _replace_folder(temporary, path)
            if durable:
                _sync_folder(path.parent)
        except BaseException as error:
            full = _disk_is_full(path.parent)
            shutil.rmtree(temporary, ignore_errors=True)
            _raise_storage_error(error, path, full)
            raise


@contextmanager
def storage_errors(path: PathLike) -> Iterator[None]:
    """Turns what the system refuses inside the block (any OSError) into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(_message(Path(path), error.strerror or str(error), error.errno)) from error


def sha256_file(path: PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_folder(path: PathLike, patterns: Sequence[str] = ("**/*",)) -> str:
    """Hexadecimal SHA-256 over the names (relative, `/`-separated) and contents of a folder's files.

    Args:
        path: the folder.
        patterns: globs, relative to the folder, of the files that count; a file that two match counts once.
    """
    folder = Path(path)
    files = {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(folder).as_posix(), file) for file in files):
        digest.update(f"{name}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()


def _create(path: Path, mode: Literal["w", "wb"]) -> IO[Any]:
    if mode == "wb":
        return open(path, "xb")
    return open(path, "x", encoding="utf-8", newline="\n")


def _temporary_name(path: Path) -> Path:
    return path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.partial"


def _replace_folder(new: Path, path: Path) -> None:
    if not path.exists():
        os.rename(new, path)
        return
    aside = _temporary_name(path).with_suffix(".old")
    os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync_file(path: Path) -> None:
    if path.is_file() and not path.is_symlink():
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """A rename is on disk only once its folder is. Skipped where the system lets nobody open a folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _disk_is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _FULL_DISK_BYTES
    except OSError:
        return False


def _raise_storage_error(error: BaseException, path: Path, disk_is_full: bool) -> None:
    """Raises StorageError where `error` came from a full disk in another guise than OSError."""
    foreign = isinstance(error, Exception) and not isinstance(error, (OSError, HftError))
    if foreign and disk_is_full:
        reason = os.strerror(errno.ENOSPC)
        raise StorageError(_message(path, reason, errno.ENOSPC)) from error


def _message(path: Path, reason: str, code: int | None) -> str:
    remedy = {
        errno.ENOSPC: "Free some space there, or choose another place (for a run: outputs=FOLDER).",
        errno.EDQUOT: "Free some of your quota, or choose another place (for a run: outputs=FOLDER).",
        errno.EACCES: "Choose a folder that you may write to (for a run: outputs=FOLDER).",
        errno.EPERM: "Choose a folder that you may write to (for a run: outputs=FOLDER).",
        errno.EROFS: "Choose a folder on a disk that is writable (for a run: outputs=FOLDER).",
    }.get(code or 0, "Check the path and the disk, then try again.")
    return f"{path}: cannot be written: {reason}. Nothing half-written was left. {remedy}"
