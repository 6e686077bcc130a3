"""The standard library's docstrings as a source that is read once a process."""

from __future__ import annotations

from typing import Any

from hft.data import PythonDocs

_found: list[Any] = []


class DocstringsOnce:
    """Stands where PythonDocs stands; every instance gives the same."""

    def read(self, quarantine: Any) -> Any:
        """What PythonDocs reads."""
        if not _found:
            _found.append(PythonDocs().read(quarantine))
        return _found[0]
