"""Folders of kinds carry a tag, so that nothing which hft did not make is ever counted or removed.

`stores.folder=.` may be a mistake, and `./data` somebody's work. The tag is the one of https://bford.info/cachedir/:
backups leave such folders out.
"""

from __future__ import annotations

import errno
from pathlib import Path

__all__ = ["TAG", "children", "is_kind", "own_kind"]

TAG = "CACHEDIR.TAG"
_CONTENT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of hft (see hft stores). What is in it is made again when it is needed.\n"
)


def own_kind(folder: Path) -> None:
    """Makes the folder of a kind, and tags it.

    Raises:
        OSError: it is there and holds what hft did not put there, or the system refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_kind(folder):
        return
    if children(folder) and not is_kind(folder):  # asked again: another process may just have tagged and filled it
        raise FileExistsError(errno.EEXIST, "the folder holds files that are not hft's", str(folder))
    (folder / TAG).write_text(_CONTENT, encoding="utf-8")


def is_kind(folder: Path) -> bool:
    """Whether hft made this folder, and lets us look into it: its tag is hft's to the letter, not another program's."""
    try:
        return (folder / TAG).read_bytes() == _CONTENT.encode()
    except OSError:
        return False


def children(folder: Path) -> list[Path]:
    """What is in a folder, but for the tag; nothing where there is no such folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.name != TAG)
    except OSError:
        return []
