"""Check every `_target_` of a config against the signature in its source. Nothing is built, nothing imported."""

from __future__ import annotations

import ast
import json
from typing import Any

from pydantic import ValidationError

from hft.config.renamed import gone_argument
from hft.config.report import CheckReport, Finding, listed, nearest
from hft.config.static import (
    NotFoundError,
    NotVerifiableError,
    Sources,
    StaticSignature,
    Symbol,
    Symbols,
    class_constant,
    signature_of,
)
from hft.config.static.annotations import ValueChecker, checker_of
from hft.config.static.signatures import StaticParameter
from hft.config.tree import UNKNOWN, ConfigTree, has_unknown, join, targets
from hft.config.validation import findings_of

# Keys that Hydra's instantiate reads itself.
RESERVED = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}

# Values of a config that hft turns into others before the target sees them.
_MEANT_FOR_HFT: dict[str, tuple[Any, ...]] = {"trainer.precision": ("auto",)}


class TargetChecker:
    """Finds targets and binds their arguments. Keeps what it has read, for the next config of a sweep."""

    def __init__(self) -> None:
        self.symbols = Symbols(Sources())
        self._found: dict[str, tuple[Symbol, StaticSignature] | Exception] = {}
        self._checkers: dict[tuple[str, str], ValueChecker | None] = {}

    def check(self, tree: ConfigTree, report: CheckReport) -> None:
        """Check every node with a `_target_`."""
        for key, node in targets(tree):
            self.check_node(key, node, report)

    def check_node(self, key: str, node: dict[str, Any], report: CheckReport) -> None:
        """Check one node: the target exists, takes these arguments, and their values have the right types."""
        target = node["_target_"]
        if not isinstance(target, str):
            if not has_unknown(target):
                report.errors.append(Finding(join(key, "_target_"), f"found {target!r}", "a dotted name"))
            return
        try:
            signature = self.signature(target)
        except NotFoundError as error:
            report.errors.append(_not_found(join(key, "_target_"), target, error))
            return
        except NotVerifiableError as error:
            report.notes.append(Finding(join(key, "_target_"), f"{target} is not verified: {error}"))
            return
        self._check_names(key, node, signature, report)
        self._check_values(key, node, signature, report)

    def symbol(self, target: str) -> Symbol:
        """The class or function that a target means.

        Raises:
            NotFoundError: there is no such name.
            NotVerifiableError: the source alone cannot tell.
        """
        return self._lookup(target)[0]

    def signature(self, target: str) -> StaticSignature:
        """What a target takes. Raises as `symbol` does."""
        return self._lookup(target)[1]

    def constant(self, target: str, name: str) -> Any:
        """The literal value of a target's class variable; None where the source does not tell."""
        try:
            return class_constant(self.symbol(target), name, self.symbols)
        except (NotFoundError, NotVerifiableError):
            return None

    def constant_of(self, node: Any, name: str) -> Any:
        """As `constant`, of the `_target_` of a node; None where the node has none."""
        target = node.get("_target_") if isinstance(node, dict) else None
        return self.constant(target, name) if isinstance(target, str) else None

    def argument(self, node: Any, name: str) -> Any:
        """What the target of a node gets for an argument: the config's value, else its default.

        None where it takes no such argument or there is no target, `UNKNOWN` where the source does not tell.
        """
        target = node.get("_target_") if isinstance(node, dict) else None
        if not isinstance(target, str):
            return None
        if name in node:
            return node[name]
        try:
            parameter = self.signature(target).by_name.get(name)
        except (NotFoundError, NotVerifiableError):
            return UNKNOWN
        if parameter is None:
            return None
        try:
            return ast.literal_eval(parameter.default) if parameter.default is not None else UNKNOWN
        except ValueError:
            return UNKNOWN

    def _lookup(self, target: str) -> tuple[Symbol, StaticSignature]:
        if target not in self._found:
            try:
                symbol = self.symbols.find(target)
                self._found[target] = (symbol, signature_of(symbol, self.symbols))
            except (NotFoundError, NotVerifiableError) as error:
                self._found[target] = error
            except RecursionError:
                self._found[target] = NotVerifiableError("its source is nested too deeply")
        found = self._found[target]
        if isinstance(found, Exception):
            raise found
        return found

    def _check_names(self, key: str, node: dict[str, Any], signature: StaticSignature, report: CheckReport) -> None:
        given = {name: value for name, value in node.items() if name not in RESERVED}
        known = signature.by_name
        positional = node.get("_args_") or []
        covered = {p.name for p in signature.positional[: len(positional)]}
        if len(positional) > len(signature.positional) and not signature.accepts_any_count:
            report.errors.append(
                Finding(
                    join(key, "_args_"),
                    f"{len(positional)} values, more than {node['_target_']} takes",
                    f"at most {len(signature.positional)}",
                )
            )
        for name, value in given.items():
            if name in covered:
                report.errors.append(Finding(join(key, name), "is given twice, by name and in _args_"))
            elif name not in known and not signature.accepts_any_name:
                close = nearest(name, known)
                report.errors.append(
                    gone_argument(join(key, name), name)
                    or Finding(
                        join(key, name),
                        f"{node['_target_']} takes no such argument (found {value!r})",
                        listed(known) or "no argument at all",
                        close and join(key, close),
                    )
                )
        if node.get("_partial_") is True:
            return
        for parameter in signature.parameters:
            if parameter.kind in (parameter.kind.VAR_POSITIONAL, parameter.kind.VAR_KEYWORD):
                continue
            if not parameter.has_default and parameter.name not in given and parameter.name not in covered:
                report.errors.append(
                    Finding(
                        join(key, parameter.name),
                        f"{node['_target_']} needs this argument",
                        advice=f"give it: +{join(key, parameter.name)}=VALUE",
                    )
                )

    def _check_values(self, key: str, node: dict[str, Any], signature: StaticSignature, report: CheckReport) -> None:
        if "_convert_" in node and node["_convert_"] not in ("none", "partial", "object", "all"):
            report.errors.append(
                Finding(join(key, "_convert_"), f"found {node['_convert_']!r}", "none, partial, object or all")
            )
        for flag in ("_partial_", "_recursive_"):
            if flag in node and not isinstance(node[flag], bool) and not has_unknown(node[flag]):
                report.errors.append(Finding(join(key, flag), f"found {node[flag]!r}", "true or false"))
        for name, parameter in signature.by_name.items():
            if name not in node:
                continue
            value = node[name]
            where = join(key, name)
            if has_unknown(value) or _has_target(value) or value in _MEANT_FOR_HFT.get(where, ()):
                continue
            checker = self._checker(node["_target_"], parameter)
            if checker is None:
                continue
            try:
                # As JSON: a list may stand for a tuple and a string for a path, but no string for a number.
                checker.adapter.validate_json(json.dumps(value, default=str), strict=True)
            except ValidationError as error:
                report.errors.extend(findings_of(error, where, value, checker.kind))

    def _checker(self, target: str, parameter: StaticParameter) -> ValueChecker | None:
        index = (target, parameter.name)
        if index not in self._checkers:
            self.symbols.sources.start_target()
            self._checkers[index] = checker_of(parameter, self.symbols)
        return self._checkers[index]


def _has_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(_has_target(child) for child in value.values())
    return isinstance(value, list) and any(_has_target(child) for child in value)


def _not_found(where: str, target: str, error: NotFoundError) -> Finding:
    if not error.owner:
        return Finding(
            where,
            f"{target} cannot be found: there is no package {error.name}",
            advice="install it, or put its module in the current folder (installed packages come before it)",
        )
    if not error.name:
        return Finding(where, f"{target} is a module", f"a class or function in it: {listed(error.names)}")
    close = nearest(error.name, error.names)
    return Finding(
        where,
        f"{target} cannot be found: {error.owner} has no {error.name}",
        listed(error.names),
        close and f"{error.owner}.{close}",
    )
