"""A key of the code that prepares data: hft.data, all of hft that it imports, and the packages that it works with."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hft.stores import digest

__all__ = ["PACKAGES", "code_files", "code_version"]

# Whose versions may change what is prepared.
PACKAGES = (
    "PyYAML",
    "SQLAlchemy",
    "bm25s",
    "datasets",
    "filelock",
    "fsspec",
    "numpy",
    "pillow",
    "pyarrow",
    "pydantic",
    "pydantic_core",
    "regex",
    "scipy",
)
_HFT = Path(__file__).parents[1]
# `from hft.a import b, c`, the names as far as they stand in the line, and `import hft.a.b`. Far faster than ast.
_IMPORT = re.compile(rb"^[ \t]*(?:from[ \t]+hft([\w.]*)[ \t]+import[ \t]+([\w, \t]*)|import[ \t]+hft([\w.]*))", re.M)


@lru_cache(maxsize=1)
def code_version() -> str:
    """The key, of 32 hexadecimal digits."""
    sources = [part for path in code_files() for part in (path.relative_to(_HFT).as_posix(), path.read_bytes())]
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    return digest(sys.version, unicodedata.unidata_version, *versions, *sources)


def code_files() -> list[Path]:
    """The files of hft.data and of every module of hft that they import, at any depth; a package is taken whole."""
    found: set[Path] = set()
    waiting, followed = sorted((_HFT / "data").rglob("*.py")), set[str]()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            modules = set(_imported(path.read_bytes())) - followed
            followed |= modules
            for module in modules:
                waiting += _files_of(module)
    return sorted(found)


def _imported(source: bytes) -> Iterator[str]:
    """Dotted names below hft, each with a dot at its beginning."""
    for origin, names, module in _IMPORT.findall(source):
        yield (origin or module).decode()
        if origin == b"" and names:
            for name in names.decode().split(","):
                yield f".{name.split()[0]}" if name.strip() else ""


def _files_of(module: str) -> list[Path]:
    """Of a dotted name below hft that begins with a dot; hft's own `__init__.py` of hft itself."""
    place = _HFT.joinpath(*module.split("."))
    if module and place.is_dir():
        return sorted(place.rglob("*.py"))
    file = place.with_suffix(".py") if module else _HFT / "__init__.py"
    return [file] if file.is_file() else _files_of(module.rpartition(".")[0])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
