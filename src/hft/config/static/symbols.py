"""Follow a dotted name through re-exports to the class or function that it means."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass

from hft.config.static.sources import (
    AssignedName,
    Definition,
    FunctionNode,
    ImportedName,
    NotVerifiableError,
    SourceModule,
    Sources,
)


class NotFoundError(Exception):
    """A dotted name means nothing.

    Args:
        owner: the longest part of the name that exists ("" where not even the package does).
        name: the part that is not in it.
        names: what is in it.
    """

    def __init__(self, owner: str, name: str, names: list[str]) -> None:
        super().__init__(f"{name!r} is not in {owner or 'the installed packages'}")
        self.owner = owner
        self.name = name
        self.names = names


@dataclass(frozen=True)
class Symbol:
    """A class or function in the module that defines it. `owner` is the class of a method."""

    module: SourceModule
    node: ast.ClassDef | FunctionNode
    owner: ast.ClassDef | None = None

    @property
    def origin(self) -> str:
        """Dotted name of the definition: where the code is, whatever name led to it."""
        inside = f"{self.owner.name}." if self.owner else ""
        return f"{self.module.name}.{inside}{self.node.name}"


@dataclass(frozen=True)
class Alias:
    """A name that stands for an expression, such as a type: `Ratio = Annotated[...]`."""

    module: SourceModule
    value: ast.expr


@dataclass(frozen=True)
class External:
    """A name from a package that is not followed, because hft knows it (typing, pydantic, builtins, ...)."""

    module: str
    name: str


Meaning = SourceModule | Symbol | Alias | External

# Packages whose names mean what they always mean; following them into their sources would only cost time.
KNOWN_PACKAGES = {
    "abc", "annotated_types", "builtins", "collections", "collections.abc", "dataclasses", "datetime", "decimal",
    "enum", "functools", "os", "pathlib", "pydantic", "typing", "typing_extensions",
}  # fmt: skip


class Symbols:
    """Meanings of names, read from sources.

    Args:
        sources: where modules are read.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def find(self, target: str) -> Symbol:
        """The class or function that a `_target_` means.

        Raises:
            NotFoundError: there is no such name.
            NotVerifiableError: the source alone cannot tell.
        """
        self.sources.start_target()
        first, *rest = target.split(".")
        if not all(part.isidentifier() for part in [first, *rest]):
            raise NotFoundError("", target, [])
        if not self.sources.exists(first):
            raise NotFoundError("", first, [])
        if not rest:
            raise NotFoundError(first, "", self.names_in(self.sources.module(first)))
        meaning: Meaning = self.sources.module(first) if not self._skippable(first, rest) else _unread(first)
        for position, part in enumerate(rest):
            meaning = self._step(meaning, part, rest[position + 1 :])
        if isinstance(meaning, Symbol):
            return meaning
        if isinstance(meaning, SourceModule):
            raise NotFoundError(meaning.name, "", self.names_in(self.sources.module(meaning.name)))
        raise NotVerifiableError("it is made while its module is imported")

    def names_in(self, module: SourceModule) -> list[str]:
        """What a module offers, for a hint at the right spelling: its `__all__`, else its classes and functions."""
        match module.definitions.get("__all__"):
            case AssignedName(value=ast.List(elts=elements) | ast.Tuple(elts=elements)):
                return sorted(str(e.value) for e in elements if isinstance(e, ast.Constant))
        names = {name for name, made in module.definitions.items() if _is_offered(name, made)}
        for star in module.star_imports:
            try:
                names |= set(self.names_in(self.sources.module(star)))
            except NotVerifiableError:
                continue
        return sorted(names) or self.sources.submodules(module)

    def evaluate(self, module: SourceModule, expression: ast.expr) -> Meaning | None:
        """What a name or a dotted name in a module's code means; None where it is neither."""
        match expression:
            case ast.Name(id=name):
                return self.member(module, name) or (External("builtins", name) if hasattr(builtins, name) else None)
            case ast.Attribute(value=value, attr=attribute):
                owner = self._imported_module(module, value) or self.evaluate(module, value)
                if isinstance(owner, External):
                    return External(f"{owner.module}.{owner.name}".removesuffix("."), attribute)
                return None if owner is None else self._member_of(owner, attribute)
            case ast.Subscript(value=value):
                return self.evaluate(module, value)
            case ast.Constant(value=str() as text):
                return self.evaluate(module, ast.parse(text, mode="eval").body)
        return None

    def member(self, module: SourceModule, name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> Meaning | None:
        """What `name` means at the top level of `module`; None where it is not defined there."""
        if (module.name, name) in seen:
            return None
        seen |= {(module.name, name)}
        match module.definitions.get(name):
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() as node:
                return Symbol(module, node)
            case ImportedName(module=origin, symbol=symbol):
                return self._imported(origin, symbol, seen)
            case AssignedName(value=value):
                followed = None
                if isinstance(value, ast.Name | ast.Attribute) and ast.unparse(value) != name:
                    followed = self.evaluate(module, value)
                return followed or Alias(module, value)
        for star in module.star_imports:
            if not name.startswith("_") and self.sources.exists(star):
                found = self.member(self.sources.module(star), name, seen)
                if found is not None:
                    return found
        return None

    def class_member(self, symbol: Symbol, name: str) -> Symbol | None:
        """A method or nested class of a class, looked up through its bases."""
        assert isinstance(symbol.node, ast.ClassDef)
        found = None
        for statement in symbol.node.body:
            if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == name:
                found = Symbol(symbol.module, statement, symbol.node)
        if found is not None:
            return found
        for base in self.bases(symbol):
            if isinstance(base, Symbol) and isinstance(base.node, ast.ClassDef):
                found = self.class_member(base, name)
                if found is not None:
                    return found
        return None

    def bases(self, symbol: Symbol) -> list[Meaning | None]:
        """What the base classes of a class mean, in order."""
        assert isinstance(symbol.node, ast.ClassDef)
        return [self.evaluate(symbol.module, base) for base in symbol.node.bases]

    def _step(self, owner: Meaning, part: str, rest: list[str]) -> Meaning:
        if isinstance(owner, SourceModule):
            submodule = f"{owner.name}.{part}"
            if rest and self.sources.exists(submodule):
                return _unread(submodule) if self._skippable(submodule, rest) else self.sources.module(submodule)
        found = self._member_of(owner, part)
        if found is None:
            if isinstance(owner, SourceModule):
                module = self.sources.module(owner.name)
                if "__getattr__" in module.definitions:
                    raise NotVerifiableError(f"{owner.name} makes its names when they are asked for")
                raise NotFoundError(owner.name, part, self.names_in(module))
            if isinstance(owner, Symbol) and isinstance(owner.node, ast.ClassDef):
                raise NotFoundError(owner.origin, part, _names_of_class(owner.node))
            raise NotVerifiableError("it is made while its module is imported")
        return found

    def _member_of(self, owner: Meaning, name: str) -> Meaning | None:
        if isinstance(owner, SourceModule):
            found = self.member(self.sources.module(owner.name), name)
            if found is None and self.sources.exists(f"{owner.name}.{name}"):
                return self.sources.module(f"{owner.name}.{name}")
            return found
        if isinstance(owner, Symbol) and isinstance(owner.node, ast.ClassDef):
            return self.class_member(owner, name)
        raise NotVerifiableError("it is made while its module is imported")

    def _imported(self, origin: str, symbol: str | None, seen: frozenset[tuple[str, str]]) -> Meaning | None:
        if origin in KNOWN_PACKAGES:
            return External(origin, symbol or "")
        if not self.sources.exists(origin):
            raise NotVerifiableError(f"there is no module {origin}")
        if symbol is None:
            return self.sources.module(origin)
        found = self.member(self.sources.module(origin), symbol, seen)
        if found is None and self.sources.exists(f"{origin}.{symbol}"):
            return self.sources.module(f"{origin}.{symbol}")
        if found is None:
            raise NotVerifiableError(f"{symbol} is not defined in the source of {origin}")
        return found

    def _imported_module(self, module: SourceModule, owner: ast.expr) -> SourceModule | None:
        """The submodule that the name before a dot stands for, without reading its (perhaps huge) package."""
        match owner:
            case ast.Name(id=name):
                match module.definitions.get(name):
                    case ImportedName(module=origin, symbol=str() as symbol) if origin not in KNOWN_PACKAGES:
                        submodule = f"{origin}.{symbol}"
                        return self.sources.module(submodule) if self.sources.exists(submodule) else None
        return None

    def _skippable(self, module: str, rest: list[str]) -> bool:
        """Whether the next part is a submodule, so that this package's own (perhaps huge) source need not be read."""
        return len(rest) > 1 and self.sources.exists(f"{module}.{rest[0]}")


def _is_offered(name: str, made: Definition) -> bool:
    if name.startswith("_") or isinstance(made, AssignedName):
        return False
    return not isinstance(made, ImportedName) or (made.symbol is not None and made.module not in KNOWN_PACKAGES)


def _unread(name: str) -> SourceModule:
    return SourceModule(name, None, [])


def _names_of_class(node: ast.ClassDef) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return sorted(s.name for s in node.body if isinstance(s, kinds) and not s.name.startswith("_"))
