"""Lists of what this user did, in their state folder, where no record and no config of a stranger reaches."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def note(name: str, lines: Iterable[str]) -> None:
    """Puts lines on a list, if there is a state folder to write to.

    Args:
        name: of the list.
        lines: without line ends.
    """
    known = noted(name)
    fresh = [line for line in dict.fromkeys(lines) if line not in known]
    if not fresh:
        return
    try:
        _file(name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _file(name).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in fresh))
    except OSError:
        return  # the next command asks


def noted(name: str) -> frozenset[str]:
    """The lines of a list."""
    try:
        return frozenset(_file(name).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def _file(name: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "hft" / name
