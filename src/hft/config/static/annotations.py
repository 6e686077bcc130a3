"""Turn the annotation of an argument into a type that pydantic can check, without running the code around it.

Only names of typing, pathlib, pydantic and builtins are evaluated, and calls of pydantic's constraints with literal
arguments. Everything else (a tensor, a class of one's own) means Any: not checked.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from hft.config.static.signatures import StaticParameter, model_fields
from hft.config.static.sources import NotVerifiableError, SourceModule
from hft.config.static.symbols import Alias, External, Symbol, Symbols

# Where an annotation says one of these, a YAML list is what a config can give.
_AS_LIST: dict[str, Any] = {"Iterable": list, "Collection": list, "Iterator": list, "Sequence": list}

_BUILTIN_TYPES = {t.__name__: t for t in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)}

# Names from known packages that a YAML value can be checked against.
_PLAIN_TYPES = {
    "typing": {
        "Any", "Annotated", "Dict", "FrozenSet", "List", "Literal", "Mapping", "Optional", "Set", "Tuple", "Union",
    },
    "collections.abc": {"Mapping", "MutableMapping"},
    "pathlib": {"Path", "PurePath"},
    "pydantic": {
        "DirectoryPath", "FilePath", "FiniteFloat", "NegativeFloat", "NegativeInt", "NewPath", "NonNegativeFloat",
        "NonNegativeInt", "NonPositiveFloat", "NonPositiveInt", "PositiveFloat", "PositiveInt", "StrictBool",
        "StrictFloat", "StrictInt", "StrictStr",
    },
}  # fmt: skip
_PLAIN_TYPES["typing_extensions"] = _PLAIN_TYPES["typing"]

# Calls that only make constraints.
_CONSTRAINTS = {
    "pydantic": {"Field", "StringConstraints", "confloat", "conint", "conlist", "constr", "Strict"},
    "annotated_types": {"Ge", "Gt", "Interval", "Le", "Len", "Lt", "MaxLen", "MinLen", "MultipleOf"},
}

# No YAML value is one of these, so they drop out of a union instead of admitting everything.
_NEVER_IN_YAML = {"Tensor"}


class _Never:
    """Stands for a type that no value of a config can have."""


@dataclass(frozen=True)
class ValueChecker:
    """A type and what checks values against it."""

    kind: Any
    adapter: TypeAdapter[Any]


def checker_of(parameter: StaticParameter, symbols: Symbols) -> ValueChecker | None:
    """What checks the values of an argument; None where its annotation says nothing that can be checked."""
    if parameter.annotation is None:
        return None
    try:
        kind = AnnotationReader(symbols).type_of(parameter.annotation, parameter.module)
        if kind is Any or kind is _Never:
            return None
        if isinstance(parameter.default, ast.Constant) and parameter.default.value is None:
            kind = _union_of([kind, None])
        return ValueChecker(kind, TypeAdapter(kind))
    except Exception:  # an annotation that pydantic or typing cannot make sense of is not the user's slip
        return None


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


def _union_of(kinds: list[Any]) -> Any:
    union: Any = typing.Union
    return union[tuple(kinds)]


class AnnotationReader:
    """Evaluates annotation expressions, in the module where they stand."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols

    def type_of(self, expression: ast.expr, module: SourceModule) -> Any:
        """The type that an annotation means; Any where it cannot be told."""
        match expression:
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=str() as text):
                return self.type_of(ast.parse(text, mode="eval").body, module)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._union([self.type_of(left, module), self.type_of(right, module)])
            case ast.Subscript(value=value, slice=inner):
                return self._subscript(value, inner, module)
            case ast.Call(func=function, args=arguments, keywords=keywords):
                return self._constraint(function, arguments, keywords, module) or Any
            case ast.Name() | ast.Attribute():
                return self._named(expression, module)
        return Any

    def _named(self, expression: ast.expr, module: SourceModule) -> Any:
        match self._meaning(expression, module):
            case External(module="builtins", name=name):
                return _BUILTIN_TYPES.get(name, Any)
            case External(name=name) if name in _AS_LIST:
                return _AS_LIST[name]
            case External(module=origin, name=name) if name in _PLAIN_TYPES.get(origin, ()):
                return getattr(importlib.import_module(origin), name)
            case Alias(module=origin, value=value):
                return self.type_of(value, origin)
            case Symbol(node=ast.ClassDef(name=name)) as symbol:
                return _Never if name in _NEVER_IN_YAML else self._model(symbol)
        return Any

    def _subscript(self, value: ast.expr, inner: ast.expr, module: SourceModule) -> Any:
        parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
        base = self._named(value, module)
        if base is typing.Literal:
            return typing.Literal[tuple(ast.literal_eval(part) for part in parts)]
        if base is typing.Annotated:
            kind = self.type_of(parts[0], module)
            metadata = [found for part in parts[1:] if (found := self._metadata(part, module)) is not None]
            annotated: Any = typing.Annotated
            return annotated[(kind, *metadata)] if metadata and kind is not Any else kind
        if base is typing.Union or base is typing.Optional:
            kinds = [self.type_of(part, module) for part in parts]
            return self._union([*kinds, None] if base is typing.Optional else kinds)
        if base is Any or base is _Never or _is_model(base):
            return base
        if base is tuple and isinstance(parts[-1], ast.Constant) and parts[-1].value is ...:
            variadic: Any = tuple
            return variadic[self._plain(parts[0], module), ...]
        return base[tuple(self._plain(part, module) for part in parts)]

    def _plain(self, expression: ast.expr, module: SourceModule) -> Any:
        kind = self.type_of(expression, module)
        return Any if kind is _Never else kind

    def _union(self, kinds: list[Any]) -> Any:
        possible = [kind for kind in kinds if kind is not _Never]
        if any(_is_model(kind) for kind in possible):
            # `PluginMeta | dict[str, Any]` takes a mapping for the model, so the mapping is checked as the model.
            possible = [kind for kind in possible if kind is not dict and typing.get_origin(kind) is not dict]
        if any(kind is Any for kind in possible) or not possible:
            return Any
        return _union_of(possible)

    def _metadata(self, expression: ast.expr, module: SourceModule) -> Any:
        if isinstance(expression, ast.Call):
            return self._constraint(expression.func, expression.args, expression.keywords, module)
        return None

    def _constraint(
        self, function: ast.expr, arguments: list[ast.expr], keywords: list[ast.keyword], module: SourceModule
    ) -> Any:
        match self._meaning(function, module):
            case External(module=origin, name=name) if name in _CONSTRAINTS.get(origin, ()):
                make: Callable[..., Any] = getattr(importlib.import_module(origin), name)
            case _:
                return None
        values = [self._argument(argument, module) for argument in arguments]
        named = {k.arg: self._argument(k.value, module) for k in keywords if k.arg}
        return make(*values, **named)

    def _argument(self, expression: ast.expr, module: SourceModule) -> Any:
        try:
            return ast.literal_eval(expression)
        except ValueError:
            return self.type_of(expression, module)

    def _model(self, symbol: Symbol) -> Any:
        """A model with the fields of a dataclass or pydantic model, so that nested values are checked too."""
        fields = model_fields(symbol, self._symbols)
        if fields is None:
            return Any
        definitions: dict[str, Any] = {}
        for field in fields:
            kind = Any if field.annotation is None else self._plain(field.annotation, field.module)
            default: Any = ... if not field.has_default else None
            if isinstance(field.default, ast.Call):
                constraint = self._metadata(field.default, field.module)
                if constraint is not None:
                    kind = typing.Annotated[kind, constraint]
            definitions[field.name] = (kind, Field(default=default, validate_default=False))
        return create_model(symbol.node.name, __config__=ConfigDict(extra="forbid"), **definitions)

    def _meaning(self, expression: ast.expr, module: SourceModule) -> Any:
        try:
            return self._symbols.evaluate(module, expression)
        except NotVerifiableError:
            return None
