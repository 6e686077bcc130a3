"""The signature of a class or function, from its source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hft.config.static.sources import FunctionNode, NotVerifiableError, SourceModule
from hft.config.static.symbols import External, Meaning, Symbol, Symbols

# Base classes that take nothing from a constructor's arguments.
_SILENT_BASES = {"object", "Generic", "Protocol", "ABC", "ABCMeta", "SupportsFloat", "Sized", "Callable", "Iterable"}

# Its __init__(*args, **kwargs) accepts every name in its signature and refuses all of them when called.
_BASE_WITHOUT_ARGUMENTS = "torch.nn.modules.module.Module"

_KIND = inspect.Parameter


@dataclass(frozen=True)
class StaticParameter:
    """One argument: its name as a config gives it, and the expressions of its annotation and default."""

    name: str
    kind: Any
    module: SourceModule
    annotation: ast.expr | None = None
    default: ast.expr | None = None
    has_default: bool = False


@dataclass(frozen=True)
class StaticSignature:
    """What a target takes. The first argument of methods and constructors is left out."""

    parameters: tuple[StaticParameter, ...] = field(default=())

    @property
    def by_name(self) -> dict[str, StaticParameter]:
        """Arguments that a config may give by name."""
        named = (_KIND.POSITIONAL_OR_KEYWORD, _KIND.KEYWORD_ONLY)
        return {p.name: p for p in self.parameters if p.kind in named}

    @property
    def accepts_any_name(self) -> bool:
        return any(p.kind is _KIND.VAR_KEYWORD for p in self.parameters)

    @property
    def accepts_any_count(self) -> bool:
        return any(p.kind is _KIND.VAR_POSITIONAL for p in self.parameters)

    @property
    def positional(self) -> list[StaticParameter]:
        return [p for p in self.parameters if p.kind in (_KIND.POSITIONAL_ONLY, _KIND.POSITIONAL_OR_KEYWORD)]


def signature_of(symbol: Symbol, symbols: Symbols) -> StaticSignature:
    """What calling a class or function takes.

    Raises:
        NotVerifiableError: the source alone cannot tell.
    """
    if isinstance(symbol.node, ast.ClassDef):
        return _of_class(symbol, symbols)
    bound = symbol.owner is not None and "staticmethod" not in _decorators(symbol.node)
    return StaticSignature(tuple(_of_function(symbol.node, symbol.module, skip_first=bound)))


def class_constant(symbol: Symbol, name: str, symbols: Symbols) -> Any:
    """The literal that a class gives to a class variable, looked up through its bases; None where there is none."""
    if not isinstance(symbol.node, ast.ClassDef):
        return None
    for statement in symbol.node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                return _literal(value)
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return _literal(value)
    for base in _bases(symbol, symbols):
        if isinstance(base, Symbol):
            found = class_constant(base, name, symbols)
            if found is not None:
                return found
    return None


def model_fields(symbol: Symbol, symbols: Symbols) -> tuple[StaticParameter, ...] | None:
    """Fields of a dataclass or pydantic model; None for any other class."""
    if _is_pydantic(symbol, symbols):
        return tuple(_pydantic_fields(symbol, symbols))
    if isinstance(symbol.node, ast.ClassDef) and _is_dataclass(symbol.node):
        return tuple(_dataclass_fields(symbol, symbols))
    return None


def _of_class(symbol: Symbol, symbols: Symbols) -> StaticSignature:
    found = _constructor(symbol, symbols)
    return StaticSignature(()) if found is None else found


def _constructor(symbol: Symbol, symbols: Symbols) -> StaticSignature | None:
    """The signature of the nearest constructor, looked up as Python does; None where no class has one."""
    assert isinstance(symbol.node, ast.ClassDef)
    if symbol.origin == _BASE_WITHOUT_ARGUMENTS:
        return StaticSignature(())
    for name in ("__init__", "__new__"):
        for statement in reversed(symbol.node.body):  # the last one is the implementation of its overloads
            if isinstance(statement, ast.FunctionDef) and statement.name == name:
                return StaticSignature(tuple(_of_function(statement, symbol.module, skip_first=True)))
    fields = model_fields(symbol, symbols)
    if fields is not None:
        return StaticSignature(fields)
    for base in symbols.bases(symbol):
        if isinstance(base, External) and base.name == "NamedTuple":
            return StaticSignature(tuple(_fields_of_body(symbol, kind=_KIND.POSITIONAL_OR_KEYWORD)))
        if isinstance(base, External) and base.name in _SILENT_BASES:
            continue
        if not isinstance(base, Symbol) or not isinstance(base.node, ast.ClassDef):
            raise NotVerifiableError(f"a base class of {symbol.node.name} has no Python source")
        found = _constructor(base, symbols)
        if found is not None:
            return found
    return None


def _of_function(node: FunctionNode, module: SourceModule, *, skip_first: bool) -> Iterator[StaticParameter]:
    arguments = node.args
    positional: list[tuple[ast.arg, Any]] = [(a, _KIND.POSITIONAL_ONLY) for a in arguments.posonlyargs]
    positional += [(a, _KIND.POSITIONAL_OR_KEYWORD) for a in arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = list(zip(positional, defaults, strict=True))[1 if skip_first else 0 :]
    for (argument, kind), default in pairs:
        yield _parameter(argument, kind, module, default)
    if arguments.vararg is not None:
        yield _parameter(arguments.vararg, _KIND.VAR_POSITIONAL, module, None)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, _KIND.KEYWORD_ONLY, module, default)
    if arguments.kwarg is not None:
        yield _parameter(arguments.kwarg, _KIND.VAR_KEYWORD, module, None)


def _parameter(argument: ast.arg, kind: Any, module: SourceModule, default: ast.expr | None) -> StaticParameter:
    return StaticParameter(argument.arg, kind, module, argument.annotation, default, default is not None)


def _fields_of_body(symbol: Symbol, kind: Any) -> Iterator[StaticParameter]:
    assert isinstance(symbol.node, ast.ClassDef)
    for statement in symbol.node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            annotation = ast.unparse(statement.annotation)
            if "ClassVar" in annotation.split("[")[0] or annotation.endswith("KW_ONLY"):
                if annotation.endswith("KW_ONLY"):
                    kind = _KIND.KEYWORD_ONLY
                continue
            default = statement.value
            yield StaticParameter(
                statement.target.id, kind, symbol.module, statement.annotation, default, default is not None
            )


def _dataclass_fields(symbol: Symbol, symbols: Symbols) -> Iterator[StaticParameter]:
    assert isinstance(symbol.node, ast.ClassDef)
    fields: dict[str, StaticParameter] = {}
    for base in reversed(_bases(symbol, symbols)):
        if isinstance(base, Symbol) and isinstance(base.node, ast.ClassDef) and _is_dataclass(base.node):
            fields |= {p.name: p for p in _dataclass_fields(base, symbols)}
    keyword_only = (_dataclass_options(symbol.node) or {}).get("kw_only") is True
    for parameter in _fields_of_body(symbol, _KIND.KEYWORD_ONLY if keyword_only else _KIND.POSITIONAL_OR_KEYWORD):
        options = _call_options(parameter.default, "field")
        if options is None:
            fields[parameter.name] = parameter
        elif options.get("init") is not False:
            kind = _KIND.KEYWORD_ONLY if options.get("kw_only") is True else parameter.kind
            given = "default" in options or "default_factory" in options
            fields[parameter.name] = StaticParameter(
                parameter.name, kind, parameter.module, parameter.annotation, None, given
            )
    yield from sorted(fields.values(), key=lambda p: p.kind)


def _pydantic_fields(symbol: Symbol, symbols: Symbols) -> Iterator[StaticParameter]:
    assert isinstance(symbol.node, ast.ClassDef)
    fields: dict[str, StaticParameter] = {}
    for base in reversed(_bases(symbol, symbols)):
        if isinstance(base, Symbol) and _is_pydantic(base, symbols):
            fields |= {p.name: p for p in _pydantic_fields(base, symbols)}
    for parameter in _fields_of_body(symbol, _KIND.KEYWORD_ONLY):
        if parameter.name.startswith("_") or parameter.name == "model_config":
            continue
        options = _call_options(parameter.default, "Field")
        has_default = parameter.has_default
        if options is not None:
            has_default = options.get("", ...) is not ... or "default" in options or "default_factory" in options
        fields[parameter.name] = StaticParameter(
            parameter.name, parameter.kind, parameter.module, parameter.annotation, parameter.default, has_default
        )
    yield from fields.values()


def _is_pydantic(symbol: Symbol, symbols: Symbols) -> bool:
    if not isinstance(symbol.node, ast.ClassDef):
        return False
    for base in _bases(symbol, symbols):
        if isinstance(base, External) and (base.module, base.name) == ("pydantic", "BaseModel"):
            return True
        if isinstance(base, Symbol) and _is_pydantic(base, symbols):
            return True
    return False


def _bases(symbol: Symbol, symbols: Symbols) -> list[Meaning | None]:
    try:
        return symbols.bases(symbol)
    except NotVerifiableError:
        return []


def _is_dataclass(node: ast.ClassDef) -> bool:
    return _dataclass_options(node) is not None


def _dataclass_options(node: ast.ClassDef) -> dict[str, Any] | None:
    """Options given to a `@dataclass` decorator; None where there is none."""
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(call).split(".")[-1] == "dataclass":
            options = _call_options(decorator, "dataclass") or {}
            return None if options.get("init") is False else options
    return None


def _call_options(expression: ast.expr | None, function: str) -> dict[str, Any] | None:
    """Keyword arguments of `function(...)` as literals (... where not one); the first positional under ""."""
    if not isinstance(expression, ast.Call) or ast.unparse(expression.func).split(".")[-1] != function:
        return None
    options = {keyword.arg: _literal(keyword.value) for keyword in expression.keywords if keyword.arg}
    if expression.args:
        first = expression.args[0]
        options[""] = ... if isinstance(first, ast.Constant) and first.value is ... else (_literal(first),)
    return options


def _decorators(node: FunctionNode) -> set[str]:
    return {ast.unparse(d.func if isinstance(d, ast.Call) else d).split(".")[-1] for d in node.decorator_list}


def _literal(value: ast.expr) -> Any:
    """The value of a literal expression, also of `frozenset({...})`; None where it is not one."""
    match value:
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "list"), args=[]):
            return frozenset()
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "list"), args=[inner]):
            value = inner
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return None
