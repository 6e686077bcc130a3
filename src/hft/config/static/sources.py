"""Find a module's source and index what it defines, without importing it."""

from __future__ import annotations

import ast
import importlib.util
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from hft.user_modules import find_user_module

# Reading torch's or Lightning's sources takes 10-40 ms a target; more than this is a package too large to follow.
SECONDS_A_TARGET = 1.0

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class NotVerifiableError(Exception):
    """The source alone cannot tell: no source, too much of it, or names that are made at import."""


@dataclass(frozen=True)
class ImportedName:
    """`from module import symbol as name`, or `import module as name` where `symbol` is None."""

    module: str
    symbol: str | None


@dataclass(frozen=True)
class AssignedName:
    """`name = value` at the top level of a module."""

    value: ast.expr


Definition = ast.ClassDef | FunctionNode | ImportedName | AssignedName


@dataclass
class SourceModule:
    """One module: its file, where its submodules are, and what its top level defines."""

    name: str
    path: Path | None
    submodule_folders: Sequence[str] | None
    definitions: dict[str, Definition] = field(default_factory=dict)
    star_imports: list[str] = field(default_factory=list)

    @property
    def is_package(self) -> bool:
        return self.submodule_folders is not None


class Sources:
    """Modules by dotted name, read once. Gives up on a target after `SECONDS_A_TARGET` seconds of CPU time."""

    def __init__(self, seconds_a_target: float = SECONDS_A_TARGET) -> None:
        self._seconds = seconds_a_target
        self._deadline = float("inf")
        self._specs: dict[str, ModuleSpec | None] = {}
        self._modules: dict[str, SourceModule] = {}

    def start_target(self) -> None:
        """Give the next target its own time."""
        self._deadline = time.process_time() + self._seconds

    def exists(self, name: str) -> bool:
        """Whether a module of this dotted name can be imported; its source is not read."""
        return self._spec(name) is not None

    def module(self, name: str) -> SourceModule:
        """The module `name`, indexed.

        Raises:
            NotVerifiableError: it does not exist, has no source, or the time is up.
        """
        if name not in self._modules:
            spec = self._spec(name)
            if spec is None:
                raise NotVerifiableError(f"there is no module {name}")
            self._modules[name] = self._read(name, spec)
        return self._modules[name]

    def submodules(self, module: SourceModule) -> list[str]:
        """Names of the modules right under a package."""
        names = set()
        for folder in module.submodule_folders or ():
            if Path(folder).is_dir():
                names |= {p.stem for p in Path(folder).iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
        return sorted(names - {"__init__", "__main__"})

    def _spec(self, name: str) -> ModuleSpec | None:
        if name not in self._specs:
            self._specs[name] = self._find_spec(name)
        return self._specs[name]

    def _find_spec(self, name: str) -> ModuleSpec | None:
        parent, _, _ = name.rpartition(".")
        try:
            if not parent:
                # A top-level name has no parent to import; this also asks the finders of editable installs.
                return importlib.util.find_spec(name) or find_user_module(name)
            folders = spec.submodule_search_locations if (spec := self._spec(parent)) else None
            return PathFinder.find_spec(name, folders) if folders is not None else None
        except (ImportError, ValueError):
            return None

    def _read(self, name: str, spec: ModuleSpec) -> SourceModule:
        folders = spec.submodule_search_locations
        if spec.origin is None or not spec.has_location:
            if folders is None:
                raise NotVerifiableError(f"{name} has no Python source")
            return SourceModule(name, None, list(folders))
        path = Path(spec.origin)
        if path.suffix != ".py":
            raise NotVerifiableError(f"{name} has no Python source")
        if time.process_time() > self._deadline:
            raise NotVerifiableError(f"more source than can be read in {self._seconds} s")
        try:
            found = path.stat()
            tree = _parsed(path, found.st_mtime_ns, found.st_size)
        except (OSError, SyntaxError, ValueError) as error:
            raise NotVerifiableError(f"{path} cannot be read as Python: {error}") from error
        module = SourceModule(name, path, None if folders is None else list(folders))
        for statement in _top_level(tree.body):
            _index(module, statement)
        return module


@lru_cache(maxsize=128)
def _parsed(path: Path, changed: int, size: int) -> ast.Module:
    """A source file's tree; a sweep checks the config of each trial. A file that has changed since is read again."""
    return ast.parse(path.read_bytes(), filename=str(path))


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, also those under `if`, `try` and `with`; fallbacks come first, so that they lose."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _top_level(statement.orelse)
            yield from _top_level(statement.body)
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _top_level(handler.body)
            for part in (statement.body, statement.orelse, statement.finalbody):
                yield from _top_level(part)
        elif isinstance(statement, ast.With):
            yield from _top_level(statement.body)
        else:
            yield statement


def _index(module: SourceModule, statement: ast.stmt) -> None:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            module.definitions[name] = statement
        case ast.Import(names=names):
            for alias in names:
                bound = alias.asname or alias.name.split(".")[0]
                target = alias.name if alias.asname else bound
                module.definitions[bound] = ImportedName(target, None)
        case ast.ImportFrom(names=names):
            origin = _absolute(module, statement)
            for alias in names:
                if alias.name == "*":
                    module.star_imports.append(origin)
                else:
                    module.definitions[alias.asname or alias.name] = ImportedName(origin, alias.name)
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            # `X = decorate(X)` keeps the class: its signature is the best that the source tells.
            if not isinstance(module.definitions.get(name), ast.ClassDef | ast.FunctionDef):
                module.definitions[name] = AssignedName(value)


def _absolute(module: SourceModule, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    parts = module.name.split(".")
    up = statement.level - (1 if module.is_package else 0)
    base = parts[: len(parts) - up] if up else parts
    return ".".join([*base, *([statement.module] if statement.module else [])])
