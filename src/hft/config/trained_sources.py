"""Which classes this user has trained with: by the hash of their source, in a list of hft's own.

A record names classes, and a stranger can write into a record what he likes. The list lies in the user's state folder,
where no record and no config reaches, and holds what was true of the sources when they ran.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

from hft.config.static import NotFoundError, NotVerifiableError, Sources, Symbols
from hft.user_lists import note, noted
from hft.user_modules import find_user_module, installed_module

_LIST = "trained_sources"
_CODE = {".py", ".so", ".pyd"}


def note_trained(classes: Iterable[tuple[Sequence[str], str]]) -> None:
    """Puts the sources of classes that a run trains with on the list, if there is a state folder to write to.

    Args:
        classes: keys that lead to a node, and its `_target_`; the user has named them, or trusted them by `--trust`.
    """
    hashed = [(path, target, source_hash(target)) for path, target in classes]
    note(_LIST, [_line(path, target, source) for path, target, source in hashed if source is not None])


def was_trained_with(path: Sequence[str], target: str) -> bool:
    """Whether this user trained with the class at this node, and its source is still what it was then.

    Nothing is imported.

    Args:
        path: keys that lead to the node.
        target: its `_target_`.
    """
    known = noted(_LIST)
    if not known or (source := source_hash(target)) is None:
        return False
    return _line(path, target, source) in known


def source_hash(target: str) -> str | None:
    """SHA-256 of the source that a `_target_` runs: of a module of the current folder with all that it imports from
    there, else of the file that defines it. None: there is no file.
    """
    digest = hashlib.sha256()
    files = list(_files(target))
    for name, file in files:
        try:
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        except OSError:
            return None
    return digest.hexdigest() if files else None


def _files(target: str) -> list[tuple[str, Path]]:
    top = target.partition(".")[0]
    if not _is_of_user(top):
        try:
            file = Symbols(Sources()).find(target).module.path
        except (NotFoundError, NotVerifiableError, RecursionError):
            return []
        return [] if file is None else [(target, file)]
    found: dict[str, list[tuple[str, Path]]] = {}
    waiting = [top]
    while waiting:
        name = waiting.pop()
        if name in found or not _is_of_user(name):
            continue
        found[name] = list(_files_of_user(name))
        waiting += [imported for _, file in found[name] for imported in _imports(file)]
    return sorted(pair for files in found.values() for pair in files)


def _files_of_user(name: str) -> Iterator[tuple[str, Path]]:
    spec = find_user_module(name)
    if spec is None:
        return
    if spec.submodule_search_locations is None:
        if spec.origin is not None:
            yield name, Path(spec.origin)
        return
    for folder in map(Path, spec.submodule_search_locations):
        for file in sorted(folder.rglob("*")):
            if file.suffix in _CODE and file.is_file():
                yield f"{name}/{file.relative_to(folder).as_posix()}", file


def _imports(file: Path) -> Iterator[str]:
    """Top-level names of the modules that a source imports, at any depth of its code."""
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def _is_of_user(name: str) -> bool:
    """Whether a module of the current folder goes by the name: none is installed, or this one is what is found."""
    if not name.isidentifier():
        return False
    own, installed = find_user_module(name), installed_module(name)
    return own is not None and (installed is None or _place(installed) == _place(own))


def _place(spec: ModuleSpec) -> list[Path]:
    return [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or ""]]


def _line(path: Sequence[str], target: str, source: str) -> str:
    return f"{source} {'.'.join(path)} {target}"
