"""Files of records, on this machine or in a store: one, a folder of them, or those that a pattern names."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from hft.data.sources.remote_bytes import RANGE_BYTES, RemoteBytes, state_of
from hft.data.sources.retrying import Retrying
from hft.data.sources.stores import file_system, in_words, is_remote
from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine
    from hft.data.records import CellFormat, Records

_WILD = re.compile(r"[*?\[]")
_NAMED = 5


@dataclass(frozen=True)
class RecordFile:
    """A file of records.

    Args:
        name: what ids are made of where records have none: distinct within its source.
        location: where it lies, as people and messages call it.
        path: on this machine; None where it is in a store.
        opened: its bytes from the start, of a file in a store.
        state: what tells this content from another, of a file in a store; empty where nothing does.
    """

    name: str
    location: str
    path: Path | None = None
    opened: Callable[[], IO[bytes]] | None = None
    state: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.location

    def open(self) -> IO[bytes]:
        """Its bytes, from the start.

        Raises:
            OSError: it cannot be read.
        """
        return open(self.path, "rb") if self.opened is None else self.opened()  # type: ignore[arg-type]


@dataclass(frozen=True)
class FilesOfRecords:
    """The files that a location names.

    Args:
        location: a file, a folder (all files of a known format in it and below) or a pattern with * or **; a path, or
            an address such as s3://bucket/key.
        key: config key that names it.
        cells: how lists stand in tables.
        retries: attempts after the first, of each request to a store.
        pause: seconds before the first of them.
        seed: of the draws in the pauses.
    """

    location: str
    key: str
    cells: CellFormat
    retries: int = 5
    pause: float = 0.5
    seed: int = 0

    @cached_property
    def files(self) -> list[RecordFile]:
        """The files, in the order of their names; looked up once.

        Raises:
            DataError: there is none, or the store refuses.
        """
        return self._remote() if is_remote(self.location) else self._local()

    def parts(self, list_fields: Sequence[str], quarantine: Quarantine) -> list[Records]:
        """The records of each file.

        Raises:
            DataError: a file is missing, of an unknown format, or damaged.
        """
        from hft.data.record_formats import read_records
        from hft.data.records import Records

        def reading(file: RecordFile) -> Records:
            place = file.path or file
            return Records(file, lambda: read_records(place, self.key, list_fields, self.cells, quarantine))

        return [reading(file) for file in self.files]

    def identity(self, role: str) -> Mapping[str, Path | RecordFile] | None:
        """Files by the part they play; None where a store does not tell when a file changes."""
        found = {f"{role}/{file.name}": file.path or file for file in self.files}
        stateless = [file for file in self.files if file.path is None and not file.state]
        return None if stateless else found

    def _local(self) -> list[RecordFile]:
        path = Path(self.location).expanduser()
        if path.is_dir():
            found = [each for each in sorted(path.rglob("*")) if each.is_file()]
            return self._of_folder({each.relative_to(path).as_posix(): each for each in found})
        if _WILD.search(self.location) and not path.exists():
            anchor = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(anchor)) if path.is_absolute() else str(path)
            matches = [each for each in sorted(anchor.glob(pattern)) if each.is_file()]
            if not matches:
                raise DataError(f"{self.key}: no file matches {self.location} (a relative one starts at {Path.cwd()}).")
            root = Path(os.path.commonpath([each.parent for each in matches]))
            return [RecordFile(each.relative_to(root).as_posix(), str(each), each) for each in matches]
        if not path.is_file():
            raise DataError(
                f"{self.key}: {self.location} is not a file. Check the path (a relative one starts at {Path.cwd()})."
            )
        return [RecordFile(path.name, str(path), path)]

    def _of_folder(self, found: Mapping[str, Path]) -> list[RecordFile]:
        usable = [name for name in found if _is_data(name)]
        if not usable:
            raise DataError(self._none_usable(list(found)))
        return [RecordFile(name, str(found[name]), found[name]) for name in usable]

    def _none_usable(self, there: Sequence[str]) -> str:
        named = ", ".join(there[:_NAMED]) + (", ..." if len(there) > _NAMED else "")
        return (
            f"{self.key}: {self.location} is a folder without a file of a known format (there: {named or 'nothing'}). "
            f"Expected .jsonl, .ndjson, .csv, .tsv (each also with .gz) or .parquet."
        )

    def _remote(self) -> list[RecordFile]:
        retrying = Retrying(self.retries, self.pause, self.seed)
        attempt = 0
        while True:
            try:
                system, path = file_system(self.location, self.key)
                return self._listed(system, path, retrying)
            except DataError:
                raise
            except Exception as error:
                attempt += 1
                if not retrying.waits(attempt, error):
                    raise DataError(in_words(self.key, self.location, error)) from None

    def _listed(self, system: Any, path: str, retrying: Retrying) -> list[RecordFile]:
        """Raises: whatever the store's file system raises."""
        base, wild = path.rstrip("/"), _WILD.search(path) is not None
        if wild:
            found = {name: info for name, info in system.glob(base, detail=True).items() if info["type"] == "file"}
            root = base[: _WILD.search(base).start()].rpartition("/")[0]  # type: ignore[union-attr]
            if not found:
                raise DataError(f"{self.key}: no file matches {self.location}. Check bucket, key and pattern.")
        else:
            info = None if path.endswith("/") else _info(system, base)
            if info is not None and info["type"] == "file":
                found, root = {base: info}, base.rpartition("/")[0]
            else:
                there = system.find(base, detail=True)
                root = base
                found = {name: each for name, each in there.items() if _is_data(_below(name, root))}
                if not there:
                    raise DataError(f"{self.key}: there is no {self.location}, or it is empty. Check bucket and key.")
                if not found:
                    raise DataError(self._none_usable([_below(name, root) for name in sorted(there)]))
        return [self._in_store(system, name, _below(name, root), found[name], retrying) for name in sorted(found)]

    def _in_store(self, system: Any, path: str, name: str, info: Mapping[str, Any], retrying: Retrying) -> RecordFile:
        place = str(system.unstrip_protocol(path))

        def opened() -> IO[bytes]:
            raw = RemoteBytes(system, path, place, retrying, info)
            return cast("IO[bytes]", io.BufferedReader(raw, RANGE_BYTES))

        return RecordFile(name, place, opened=opened, state=(place, *state_of(info)) if state_of(info) else ())


def _info(system: Any, path: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = system.info(path)
        return found
    except FileNotFoundError:
        return None


def _below(name: str, root: str) -> str:
    return name.removeprefix(root).lstrip("/") if root else name


def _is_data(name: str) -> bool:
    """Whether a file of a folder is one of records: a known suffix, and no mark of its own as `_SUCCESS` or `.crc`."""
    from hft.data.record_formats import is_known_format

    return is_known_format(PurePosixPath(name).name) and not any(part[:1] in "._" for part in name.split("/"))
