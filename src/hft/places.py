"""Places in records are told from a folder that moves with them, so that what was copied or moved finds its own."""

from __future__ import annotations

import os
from pathlib import Path


def relative_place(place: str | os.PathLike[str], root: str | os.PathLike[str]) -> str:
    """A place as a record under `root` names it: `3`, `../../mine/RUN`. One that is relative already stays."""
    text = os.fspath(place)
    return Path(os.path.relpath(text, os.path.abspath(root))).as_posix() if os.path.isabs(text) else text


def absolute_place(place: str, root: str | os.PathLike[str]) -> Path:
    """The place that a record under `root` names, without `..` in it."""
    return Path(os.path.normpath(os.path.join(os.path.abspath(root), place)))
