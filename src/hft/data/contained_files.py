"""Files that records name: none leads out of the folder that they belong to."""

from __future__ import annotations

from pathlib import Path


def contained_file(folder: Path, name: str) -> Path | str:
    """The file of a folder that a record names, or what is wrong with the name.

    Links are followed: what lies elsewhere is out, also by a link in the folder.

    Args:
        folder: that the name starts from.
        name: as the record has it.
    """
    try:
        within = folder.resolve()
        file = (within / name).resolve()
        if not file.is_relative_to(within):
            return "a file name that leads out of the folder"
        if file.exists() and not file.is_file():
            return "a file name that is no file's (a folder, a pipe, a device)"
    except (ValueError, OSError, RuntimeError):  # a NUL, half a surrogate pair, links in a circle
        return "a file name that no file can have"
    return folder / name
