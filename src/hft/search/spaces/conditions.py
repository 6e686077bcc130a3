"""Parameters that exist only where another has a certain value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hft.search.spaces.identity import same_value
from hft.search.spaces.problems import Problem, closest, shown
from hft.search.specs import Choice, Parameter


def bare_key(key: str) -> str:
    """A key without Hydra's `+` or `++`."""
    return key.lstrip("+")


def resolve_conditions(parameters: list[Parameter], problems: list[Problem], broken: set[str]) -> list[Parameter]:
    """Parameters, parents before their children, with the conditions' values as the parents have them.

    Args:
        parameters: in the order of the file.
        problems: gets conditions that cannot be.
        broken: bare keys of parameters that could not be read: a condition on one is not reported as well. What is
            conditional on them, or has a condition that cannot be, is left out.
    """
    by_key = {bare_key(parameter.key): parameter for parameter in parameters}
    resolved = {}
    unclear: set[str] = set()
    for key, parameter in by_key.items():
        before = len(problems)
        when = {}
        for parent_key, wanted in parameter.when.items():
            parent = by_key.get(bare_key(parent_key))
            if parent is not None:
                when[parent.key] = _values_of_parent(parameter.key, parent, wanted, problems)
            elif bare_key(parent_key) in broken:
                unclear.add(key)
            else:
                problems.append(_no_such_parent(parameter.key, parent_key, by_key))
        resolved[key] = Parameter(parameter.key, parameter.spec, when)
        if len(problems) > before:
            unclear.add(key)
    kept = []
    for parameter in _in_order(resolved, problems):
        if bare_key(parameter.key) in unclear or any(bare_key(parent) in unclear for parent in parameter.when):
            unclear.add(bare_key(parameter.key))
        else:
            kept.append(parameter)
    return kept


def read_condition(key: str, node: Any, problems: list[Problem]) -> dict[str, tuple[Any, ...]]:
    """The values that `when` lists for each other parameter.

    Args:
        key: of the parameter.
        node: its spec as it stands in the file.
        problems: gets what is wrong.
    """
    when = node.get("when") if isinstance(node, Mapping) else None
    if when is None:
        return {}
    if not isinstance(when, Mapping):
        advice = "such as when: {loss: prob_margin}"
        problems.append(Problem(f"{key}.when", f"found {shown(when)}", "a mapping of parameters to values", advice))
        return {}
    condition: dict[str, tuple[Any, ...]] = {}
    for parent, values in _flat_condition(when, ""):
        condition[parent] = tuple(values) if isinstance(values, list | tuple) else (values,)
        if not condition[parent]:
            problems.append(Problem(f"{key}.when.{parent}", "a list of no values", "at least one value"))
    return condition


def _flat_condition(when: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = []
    for name, value in when.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        entries.extend(_flat_condition(value, key) if isinstance(value, Mapping) else [(key, value)])
    return entries


def _no_such_parent(key: str, parent: str, by_key: Mapping[str, Parameter]) -> Problem:
    others = [other for other in by_key if other != bare_key(key)]
    close = closest(parent, others)
    found = f"{parent} is no parameter of the space"
    return Problem(f"{key}.when", found, ", ".join(others) or None, f"nearest: {close}" if close else None)


def _values_of_parent(key: str, parent: Parameter, wanted: tuple[Any, ...], problems: list[Problem]) -> tuple[Any, ...]:
    """The parent's own values that a condition names, so that 1 finds 1.0."""
    if not isinstance(parent.spec, Choice):
        found = f"{parent.key} is no choice: a condition needs values that can be listed"
        problems.append(Problem(f"{key}.when", found, f"write {parent.key} as a list"))
        return wanted
    own = []
    for value in wanted:
        same = [v for v in parent.spec.values if same_value(v, value)]
        if same:
            own.append(same[0])
            continue
        close = closest(str(value), [str(v) for v in parent.spec.values])
        advice = f"nearest: {close}" if close else None
        allowed = ", ".join(shown(v) for v in parent.spec.values)
        problems.append(Problem(f"{key}.when.{parent.key}", f"never is {shown(value)}", allowed, advice))
    return tuple(own)


def _in_order(by_key: Mapping[str, Parameter], problems: list[Problem]) -> list[Parameter]:
    """Parents before their children, else as they come. A circle is a problem, and what it leads to is left out."""
    done: dict[str, Parameter] = {}
    stuck: set[str] = set()

    def visit(key: str, path: tuple[str, ...]) -> None:
        if key in stuck:
            raise _CircleError
        if key in path:
            stuck.update(path)
            circle = " -> ".join([*path[path.index(key) :], key])
            problems.append(Problem(f"{by_key[key].key}.when", f"the conditions go in a circle: {circle}"))
            raise _CircleError
        if key not in done:
            for parent in by_key[key].when:
                visit(bare_key(parent), (*path, key))
            done[key] = by_key[key]

    for key in by_key:
        try:
            visit(key, ())
        except _CircleError:
            stuck.add(key)
    return list(done.values())


class _CircleError(Exception):
    pass
