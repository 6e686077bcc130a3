"""A folder of entries by kind and key, published whole, dropped when room is needed: the least lately used first.

    root/tokens/3f2a.../9c1e.0f3b5d7a.arrow     an entry and a file that joined it, with the checksum in its name
    root/data/51c0.../checksums.json     an entry that was published whole, with the checksums of its files
    root/tokens/.3f2a....partial         being written (or removed), by the process that its name tells
    root/tokens/.3f2a....lock            locked by who computes what belongs in the entry

Nothing here is the only copy of anything: whatever is missing, damaged or dropped is made again by whoever needs it. A
file is compared with its checksum once a process, when it is first asked for. What an entry holds never changes, so
that readers need no lock; a file that is mapped outlives its removal (POSIX), and
where the system refuses to remove a mapped one (Windows), it stays.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from hft.checksums import CHECKSUMS_NAME, check_file, check_folder, file_checksum, write_checksums
from hft.errors import DamagedError, StorageError
from hft.stores.kinds import children, is_kind, own_kind
from hft.stores.locks import is_lock, lock_of, one_at_a_time
from hft.stores.temporaries import bytes_under, is_temporary, remove, sweep, temporary_path

__all__ = ["StoreEntry", "StoreFolder"]

# Left free on the disk for everything else.
_RESERVE_BYTES = 256 << 20
_SIMPLE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
# An entry's name as hft.stores.keys.digest gives it: what else lies in a kind's folder is not hft's to remove.
_KEY = re.compile(r"^[0-9a-f]{32}$")
# A file that joined an entry: its name, its checksum, its suffix.
_JOINED = re.compile(r"^.+\.(?P<checksum>[0-9a-f]{8})\.[^.]+$")
_NO_CHECKSUM = "was kept by an earlier version, without a checksum"

log = logging.getLogger(__name__)

# Of this process: entries in use, which it never drops, and lines that were said.
_touched: set[str] = set()
_said: set[str] = set()


@dataclass(frozen=True)
class StoreEntry:
    """One entry of a store.

    Args:
        kind, key: as given when it was published.
        path: its folder.
        size: bytes of its files.
        last_use: seconds since the epoch.
    """

    kind: str
    key: str
    path: Path
    size: int
    last_use: float


class StoreFolder:
    """Entries of all kinds under one root and one budget.

    Making one touches no disk.

    Args:
        root: of all kinds; made when the first entry is published.
        disk_budget: bytes that all kinds may take together; None: as much as the disk has.
        say: is told in a line what went wrong, each line once a process; by default the log.
    """

    def __init__(
        self, root: str | os.PathLike[str], disk_budget: int | None, say: Callable[[str], object] | None = None
    ) -> None:
        self.root = Path(root)
        self.disk_budget = disk_budget
        self._say = say or log.warning

    def say(self, line: str) -> None:
        """Tells the user a line, once a process."""
        if line not in _said:
            _said.add(line)
            self._say(line)

    def entry(self, kind: str, key: str) -> Path:
        """Where the entry of a kind and a key stands, or would stand."""
        for name in (kind, key):
            if not _SIMPLE.match(name):
                raise ValueError(f"{name!r} is no name of a kind or a key: letters, digits, '_', '-' and '.' only")
        return self.root / kind / key

    @contextmanager
    def publish(self, kind: str, key: str) -> Iterator[Path]:
        """Gives an empty folder to fill; it becomes the entry when the block has ended well.

        Where another process has published the entry meanwhile, that one stays and this one is dropped.

        Raises:
            StorageError: the system refused to write. Nothing half-written stays.
        """
        entry = self.entry(kind, key)
        temporary = temporary_path(entry.parent, key)
        with self._writing(entry, temporary):
            own_kind(entry.parent)
            temporary.mkdir()
            yield temporary
            write_checksums(temporary)
            for file in sorted(temporary.rglob("*")):
                _to_disk(file)
            try:
                os.rename(temporary, entry)
            except OSError:
                if not entry.is_dir():
                    raise
                remove(temporary)
        self.touch(entry)

    @contextmanager
    def publish_file(self, kind: str, key: str, suffix: str, name: str | None = None) -> Iterator[Path]:
        """Gives a path to write a file to; it joins the entry when the block has ended well.

        The entry is made where it is missing. The file may not change afterwards.

        Args:
            kind, key: of the entry.
            suffix: how the file's name ends: `.arrow`.
            name: how the file's name begins, before its checksum and the suffix; None: as no other file's does.

        Raises:
            StorageError: the system refused to write. Nothing half-written stays.
        """
        entry = self.entry(kind, key)
        temporary = temporary_path(entry.parent, key)
        with self._writing(entry, temporary):
            own_kind(entry.parent)
            yield temporary
            _to_disk(temporary)
            target = entry / f"{name or uuid.uuid4().hex}.{file_checksum(temporary)}{suffix}"
            try:
                entry.mkdir(exist_ok=True)
                os.replace(temporary, target)
            except FileNotFoundError:  # another process dropped the entry between the two
                entry.mkdir(exist_ok=True)
                os.replace(temporary, target)
        self.touch(entry)

    def computing(self, kind: str, key: str, what: str = "") -> AbstractContextManager[None]:
        """A block to compute in what an entry lacks: another process that would do the same waits until it has ended.

        Read again first: what was missing may be there by then. No thread may enter the block of an entry within
        itself. The block saves work and disk, and nothing is wrong without it (see hft.stores.locks).

        Args:
            kind, key: of the entry.
            what: tells apart those who would add different things to it; letters and digits.
        """
        entry = self.entry(kind, key)
        try:
            own_kind(entry.parent)
        except OSError:  # who publishes there is told
            return nullcontext()
        return one_at_a_time(lock_of(entry, what), self.say)

    def published(self, kind: str, key: str) -> Path | None:
        """The entry, where `publish` made it and it is whole, marked as in use; one that is damaged is dropped."""
        entry = self.entry(kind, key)
        if not entry.is_dir():
            return None
        self.touch(entry)  # first, so that no other thread of this process drops it meanwhile
        try:
            if not (entry / CHECKSUMS_NAME).exists():
                raise DamagedError(_NO_CHECKSUM)
            check_folder(entry, "")
        except (DamagedError, OSError) as error:
            self.drop(entry, str(error).strip(" ."))
            return None
        return entry

    def files(self, kind: str, key: str, suffix: str) -> list[Path]:
        """The whole files of an entry with a suffix, the oldest first; one that is damaged is dropped."""
        found = []
        for path in children(self.entry(kind, key)):
            if path.name.endswith(suffix):
                try:
                    match = _JOINED.match(path.name)
                    if match is None:
                        raise DamagedError(_NO_CHECKSUM)
                    check_file(path, match["checksum"])
                    found.append((path.stat().st_mtime_ns, path))
                except FileNotFoundError:  # dropped by another process meanwhile
                    continue
                except (DamagedError, OSError) as error:
                    self.drop(path, str(error).strip(" ."))
        return [path for _, path in sorted(found)]

    def touch(self, path: Path) -> None:
        """Marks an entry (or the entry that a path lies in) as used now and as in use by this process."""
        parts = path.relative_to(self.root).parts[:2]
        entry = self.root.joinpath(*parts)
        _touched.add(_identity(entry))
        try:
            os.utime(entry)
        except OSError:  # gone, or someone else's: to read it is still allowed
            return

    def drop(self, path: Path, why: str) -> None:
        """Removes an entry or a file of one that is not whole, and says so in a line."""
        self.say(f"{path}: {why}; it is left out and made again.")
        if path.parent.parent == self.root:
            self._drop_entry(path)
        else:
            remove(path)

    def entries(self) -> list[StoreEntry]:
        """All entries, the least lately used first."""
        found = []
        for kind in self._kinds():
            for path in children(kind):
                try:
                    if not _KEY.match(path.name) or path.is_symlink() or not path.is_dir():
                        continue
                    found.append(StoreEntry(kind.name, path.name, path, bytes_under(path), path.stat().st_mtime))
                except OSError:
                    continue
        return sorted(found, key=lambda entry: (entry.last_use, entry.kind, entry.key))

    def used(self) -> int:
        """Bytes that all kinds take, with what is being written."""
        return sum(
            bytes_under(path)
            for kind in self._kinds()
            for path in children(kind)
            if _KEY.match(path.name) or is_temporary(path)
        )

    def make_room(self, wanted: int) -> bool:
        """Drops what was used least lately, never what this process has touched, until more bytes fit.

        Args:
            wanted: bytes that are about to be published.

        Returns:
            Whether they fit into the budget and on the disk. Where they can't, nothing is dropped.
        """
        for kind in self._kinds():
            sweep(kind)
        missing = max(self._over_budget(wanted), self._over_disk(wanted))
        if missing <= 0:
            return True
        droppable = [entry for entry in self.entries() if _identity(entry.path) not in _touched]
        if sum(entry.size for entry in droppable) < missing:
            return False
        for entry in droppable:
            if missing > 0 and self._is_still_unused(entry):
                self._drop_entry(entry.path)
                missing -= entry.size
        return missing <= 0

    def clear(self, kind: str | None = None) -> int:
        """Removes all entries, or those of one kind.

        Returns:
            How many bytes were freed. What another process writes at this moment stays.
        """
        for folder in self._kinds():
            sweep(folder)
        before = self.used()
        for entry in self.entries():
            if kind in (None, entry.kind):
                self._drop_entry(entry.path)
        for folder in self._kinds():
            if kind in (None, folder.name):
                for path in filter(is_lock, children(folder)):  # of processes that died
                    remove(path)
        return max(0, before - self.used())

    @contextmanager
    def _writing(self, entry: Path, temporary: Path) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            remove(temporary)
            if isinstance(error, OSError):
                raise StorageError(
                    f"{entry}: cannot be kept: {error.strerror or error}. The run goes on without it. Free some space "
                    "there, choose another place with stores.folder=FOLDER, or keep nothing with stores=none."
                ) from error
            raise

    def _kinds(self) -> list[Path]:
        return [folder for folder in children(self.root) if is_kind(folder)]

    def _over_budget(self, wanted: int) -> int:
        return 0 if self.disk_budget is None else self.used() + wanted - self.disk_budget

    def _over_disk(self, wanted: int) -> int:
        existing = next((path for path in (self.root, *self.root.absolute().parents) if path.is_dir()), Path("/"))
        try:
            return wanted + _RESERVE_BYTES - shutil.disk_usage(existing).free
        except OSError:
            return 0

    def _is_still_unused(self, entry: StoreEntry) -> bool:
        try:
            return entry.path.stat().st_mtime <= entry.last_use
        except OSError:
            return False

    def _drop_entry(self, entry: Path) -> None:
        """Out of sight in one step, so that no reader finds half of it, then removed."""
        aside = temporary_path(entry.parent, entry.name)
        try:
            os.rename(entry, aside)
        except OSError:
            return
        remove(aside)


def _identity(entry: Path) -> str:
    return os.path.realpath(entry)


def _to_disk(path: Path) -> None:
    """Waits until the disk has a file: a name that outlives a power cut must not outlive its content."""
    if path.is_file():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
