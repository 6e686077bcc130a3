"""Read a search space as it is written in YAML. Every problem is found, not only the first."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hft.errors import ConfigError
from hft.search.identity import canonical_value, same_value
from hft.search.specs import Choice, Integer, Normal, Parameter, RawValue, Spec, Uniform

# How a choice that is written in Hydra's override grammar stands in a file: {hydra: "${outputs}/x"}.
RAW_KEY = "hydra"

_OF_AN_INTERVAL = ("low", "high", "log", "integer", "step", "when")
_OF_A_NORMAL = ("mean", "std", "log", "step", "when")
_OF_A_CHOICE = ("choices", "when")
SPEC_KEYS = ("low", "high", "log", "integer", "step", "mean", "std", "choices", "when")

_FORMS = "a list [a, b], {low: .., high: ..}, {mean: .., std: ..} or {choices: [..]}"


@dataclass(frozen=True)
class Problem:
    """Something wrong with a space.

    Args:
        key: of the parameter, as it would stand in the config; `` for the space itself.
        found: what was found, a clause.
        allowed: what is allowed; None where `found` says it.
        advice: what to do, or the nearest right spelling.
    """

    key: str
    found: str
    allowed: str | None = None
    advice: str | None = None

    def __str__(self) -> str:
        text = f"{self.key}: {self.found}" if self.key else self.found
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        return f"{text} ({self.advice})" if self.advice else text


def space_error(where: str, problems: list[Problem]) -> ConfigError:
    """One error of all problems.

    Args:
        where: the config key of the space.
        problems: at least one.
    """
    if len(problems) == 1 and problems[0].key:
        return ConfigError(f"{where}.{problems[0]}")
    return ConfigError("\n".join([f"{where}:", *(f"  {problem}" for problem in problems)]))


def read_space(mapping: Mapping[str, Any]) -> tuple[list[Parameter], list[Problem]]:
    """The parameters of a space that can be read, and what is wrong with the others.

    Args:
        mapping: by config key, dotted or nested; an entry that is null is left out, so that a file can drop what
            it takes over from another.
    """
    problems: list[Problem] = []
    parameters: dict[str, Parameter] = {}
    for key, node in _flat(mapping, "", problems):
        twin = next((k for k in parameters if bare_key(k) == bare_key(key)), None)
        if twin is not None:
            problems.append(Problem(key, "is given twice", advice="dotted and nested keys are the same"))
        elif bare_key(key) == "seed":
            advice = "to average over seeds write search.seeds=[0,1,2], or seed=0,1,2 on the command line"
            problems.append(Problem(key, "a seed is never optimised: the best one would be luck", advice=advice))
        else:
            spec = read_spec(key, node, problems)
            when = _read_condition(key, node, problems)
            if spec is not None:
                parameters[key] = Parameter(key, spec, when)
    broken = {bare_key(problem.key) for problem in problems}
    return resolve_conditions(list(parameters.values()), problems, broken), problems


def bare_key(key: str) -> str:
    """A key without Hydra's `+` or `++`."""
    return key.lstrip("+")


def read_spec(key: str, node: Any, problems: list[Problem]) -> Spec | None:
    """What a parameter may be; None where it cannot be read, which is a problem then.

    Args:
        key: of the parameter.
        node: a list, or a mapping with keys of a spec.
        problems: gets what is wrong.
    """
    before = len(problems)
    if isinstance(node, list | tuple):
        spec: Spec | None = _choice(key, node, problems)
    elif "choices" in node:
        _refuse_strangers(key, node, _OF_A_CHOICE, problems)
        spec = _choice(key, node["choices"], problems)
    elif "mean" in node or "std" in node:
        _refuse_strangers(key, node, _OF_A_NORMAL, problems)
        spec = _normal(key, node, problems)
    else:
        _refuse_strangers(key, node, _OF_AN_INTERVAL, problems)
        spec = _interval(key, node, problems)
    return spec if len(problems) == before else None


def resolve_conditions(parameters: list[Parameter], problems: list[Problem], broken: set[str]) -> list[Parameter]:
    """Parameters, parents before their children, with the conditions' values as the parents have them.

    Args:
        parameters: in the order of the file.
        problems: gets conditions that cannot be.
        broken: bare keys of parameters that could not be read: a condition on one is not reported as well.
    """
    by_key = {bare_key(parameter.key): parameter for parameter in parameters}
    resolved = {}
    for key, parameter in by_key.items():
        when = {}
        for parent_key, wanted in parameter.when.items():
            parent = by_key.get(bare_key(parent_key))
            if parent is None:
                if bare_key(parent_key) not in broken:
                    problems.append(_no_such_parent(parameter.key, parent_key, by_key))
            else:
                when[parent.key] = _values_of_parent(parameter.key, parent, wanted, problems)
        resolved[key] = Parameter(parameter.key, parameter.spec, when)
    return _in_order(resolved, problems)


def _flat(mapping: Mapping[str, Any], prefix: str, problems: list[Problem]) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = []
    for name, node in mapping.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        if node is None:
            continue
        if isinstance(node, list | tuple) or (isinstance(node, Mapping) and _is_spec(node)):
            entries.append((key, node))
        elif not isinstance(node, Mapping):
            advice = f"a value that does not vary is no part of a space: write {bare_key(key)}={_shown(node)}"
            problems.append(Problem(key, f"found {_shown(node)}", _FORMS, advice))
        elif not node:
            problems.append(Problem(key, "found an empty mapping", _FORMS))
        else:
            scalars = [str(k) for k, v in node.items() if v is not None and not isinstance(v, list | tuple | Mapping)]
            if scalars and any(_nearest(scalar, SPEC_KEYS) for scalar in scalars):
                _refuse_strangers(key, node, SPEC_KEYS, problems)
            else:
                entries.extend(_flat(node, key, problems))
    return entries


def _is_spec(node: Mapping[str, Any]) -> bool:
    """Whether a mapping says what one parameter may be, rather than holding several: a key may be called `step`."""

    def fits(key: str, value: Any) -> bool:
        if key == "choices":
            return not isinstance(value, Mapping)
        if key == "when":
            return not isinstance(value, list | tuple)
        return key in SPEC_KEYS and not isinstance(value, list | tuple | Mapping)

    return any(fits(str(key), value) for key, value in node.items())


def _refuse_strangers(key: str, node: Mapping[str, Any], allowed: tuple[str, ...], problems: list[Problem]) -> None:
    for name in node:
        if name not in allowed:
            close = _nearest(str(name), allowed)
            advice = f"nearest: {close}" if close else None
            problems.append(Problem(f"{key}.{name}", "there is no such part of a spec", ", ".join(allowed), advice))


def _choice(key: str, values: Any, problems: list[Problem]) -> Choice | None:
    if not isinstance(values, list | tuple):
        problems.append(Problem(f"{key}.choices", f"found {_shown(values)}", "a list with at least one value"))
        return None
    if not values:
        problems.append(Problem(key, "a choice of nothing", "a list with at least one value"))
        return None
    read: list[Any] = []
    seen: set[str] = set()
    for value in values:
        if isinstance(value, Mapping) and list(value) == [RAW_KEY] and isinstance(value[RAW_KEY], str):
            value = RawValue(value[RAW_KEY])
        wrong = _unfit(value)
        if wrong:
            allowed = "null, true or false, a number, a string, or a list of these"
            problems.append(Problem(key, f"found the choice {wrong}", allowed))
            continue
        value = list(value) if isinstance(value, tuple) else value
        if canonical_value(value) in seen:
            problems.append(Problem(key, f"the choice {_shown(value)} stands twice", advice="leave one out"))
        seen.add(canonical_value(value))
        read.append(value)
    return Choice(tuple(read))


def _unfit(value: Any) -> str | None:
    """What of a value cannot be a choice."""
    if isinstance(value, list | tuple):
        return next((wrong for part in value if (wrong := _unfit(part))), None)
    if isinstance(value, float) and not math.isfinite(value):
        return _shown(value)
    if value is None or isinstance(value, bool | int | float | str):
        return None
    return _shown(value)


def _interval(key: str, node: Mapping[str, Any], problems: list[Problem]) -> Spec | None:
    before = len(problems)
    is_integer, is_log = _flag(key, node, "integer", problems), _flag(key, node, "log", problems)
    low, high = _number(key, node, "low", problems), _number(key, node, "high", problems)
    step = _number(key, node, "step", problems, needed=False)
    if low is None or high is None or len(problems) > before:
        return None
    if low > high:
        problems.append(Problem(key, f"found low {low} above high {high}", "low <= high"))
    elif is_log and low <= 0:
        problems.append(Problem(key, f"found log with low {low}: there is no logarithm of it", "low > 0"))
    elif step is not None and not 0 < step <= high - low:
        found = f"found step {step} with a range of {_short(high - low)}"
        problems.append(Problem(f"{key}.step", found, "0 < step <= high - low"))
    if is_integer:
        for name, number in (("low", low), ("high", high), ("step", step)):
            if number is not None and number != int(number):
                problems.append(Problem(f"{key}.{name}", f"found {number} with integer: true", "a whole number"))
        if is_log and step not in (None, 1):
            found = f"found step {step} with log and integer"
            problems.append(Problem(f"{key}.step", found, "no step: whole numbers have 1"))
    if len(problems) > before:
        return None
    if is_integer:
        return Integer(int(low), int(high), is_log, 1 if step is None else int(step))
    return Uniform(float(low), float(high), is_log, None if step is None else float(step))


def _normal(key: str, node: Mapping[str, Any], problems: list[Problem]) -> Normal | None:
    before = len(problems)
    is_log = _flag(key, node, "log", problems)
    mean, std = _number(key, node, "mean", problems), _number(key, node, "std", problems)
    step = _number(key, node, "step", problems, needed=False)
    if std is not None and std <= 0:
        problems.append(Problem(f"{key}.std", f"found {std}", "a number above 0"))
    if step is not None and step <= 0:
        problems.append(Problem(f"{key}.step", f"found {step}", "a number above 0"))
    if mean is None or std is None or len(problems) > before:
        return None
    return Normal(float(mean), float(std), is_log, None if step is None else float(step))


def _flag(key: str, node: Mapping[str, Any], name: str, problems: list[Problem]) -> bool:
    value = node.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    problems.append(Problem(f"{key}.{name}", f"found {_shown(value)}", "true or false"))
    return False


def _number(
    key: str, node: Mapping[str, Any], name: str, problems: list[Problem], *, needed: bool = True
) -> float | int | None:
    value = node.get(name)
    if value is None:
        if needed:
            problems.append(Problem(f"{key}.{name}", "is missing", "a number"))
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        problems.append(Problem(f"{key}.{name}", f"found {_shown(value)}", "a finite number"))
        return None
    return value


def _read_condition(key: str, node: Any, problems: list[Problem]) -> dict[str, tuple[Any, ...]]:
    when = node.get("when") if isinstance(node, Mapping) else None
    if when is None:
        return {}
    if not isinstance(when, Mapping):
        advice = "such as when: {loss: prob_margin}"
        problems.append(Problem(f"{key}.when", f"found {_shown(when)}", "a mapping of parameters to values", advice))
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
    close = _nearest(parent, others)
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
        close = _nearest(str(value), [str(v) for v in parent.spec.values])
        advice = f"nearest: {close}" if close else None
        allowed = ", ".join(_shown(v) for v in parent.spec.values)
        problems.append(Problem(f"{key}.when.{parent.key}", f"never is {_shown(value)}", allowed, advice))
    return tuple(own)


def _in_order(by_key: Mapping[str, Parameter], problems: list[Problem]) -> list[Parameter]:
    """Parents before their children, else as they come. A circle is a problem."""
    done: dict[str, Parameter] = {}

    def visit(key: str, path: tuple[str, ...]) -> None:
        if key in path:
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
            break
    return list(done.values())


class _CircleError(Exception):
    pass


def _nearest(name: str, names: Any) -> str | None:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return close[0] if close else None


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = value if isinstance(value, str) and value.strip() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _short(number: float) -> str:
    return f"{number:.6g}"
