"""Read a search space as it is written in YAML. Every problem is found, not only the first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hft.search.spaces.conditions import bare_key, read_condition, resolve_conditions
from hft.search.spaces.enumeration import NOISE
from hft.search.spaces.identity import canonical_value
from hft.search.spaces.problems import Problem, closest, shown
from hft.search.specs import Choice, Integer, Normal, Parameter, RawValue, Spec, Uniform

# How a choice that is written in Hydra's override grammar stands in a file: {hydra: "${outputs}/x"}.
RAW_KEY = "hydra"

_OF_AN_INTERVAL = ("low", "high", "log", "integer", "step", "when")
_OF_A_NORMAL = ("mean", "std", "log", "step", "when")
_OF_A_CHOICE = ("choices", "when")
SPEC_KEYS = ("low", "high", "log", "integer", "step", "mean", "std", "choices", "when")

_FORMS = "a list [a, b], {low: .., high: ..}, {mean: .., std: ..} or {choices: [..]}"


def read_space(
    mapping: Mapping[str, Any], meant: Callable[[str, Spec], Spec | None] | None = None
) -> tuple[list[Parameter], list[Problem]]:
    """The parameters of a space that can be read, and what is wrong with the others.

    Args:
        mapping: by config key, dotted or nested; an entry that is null is left out, so that a file can drop what
            it takes over from another.
        meant: what a parameter was meant to be, by its key and what was read, before conditions look for its values;
            None: it cannot be told. To go on looking for mistakes behind one.
    """
    problems: list[Problem] = []
    parameters: dict[str, Parameter] = {}
    entries = _flat(mapping, "", problems)
    broken = {
        name for problem in problems for name in (bare_key(problem.key), bare_key(problem.key).rpartition(".")[0])
    }
    for key, node in entries:
        before = len(problems)
        twin = next((k for k in parameters if bare_key(k) == bare_key(key)), None)
        if twin is not None:
            problems.append(Problem(key, "is given twice", advice="dotted and nested keys are the same"))
        elif bare_key(key) == "seed":
            advice = "to average over seeds write search.seeds=[0,1,2], or seed=0,1,2 on the command line"
            problems.append(Problem(key, "a seed is never optimised: the best one would be luck", advice=advice))
        else:
            spec = read_spec(key, node, problems)
            when = read_condition(key, node, problems)
            spec = meant(key, spec) if meant is not None and spec is not None else spec
            if spec is not None and len(problems) == before:
                parameters[key] = Parameter(key, spec, when)
                continue
        broken.add(bare_key(key))
    return resolve_conditions(list(parameters.values()), problems, broken), problems


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


def _flat(mapping: Mapping[str, Any], prefix: str, problems: list[Problem]) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = []
    for name, node in mapping.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        if node is None:
            continue
        if isinstance(node, list | tuple) or (isinstance(node, Mapping) and _is_spec(node)):
            entries.append((key, node))
        elif not isinstance(node, Mapping):
            advice = f"a value that does not vary is no part of a space: write {bare_key(key)}={shown(node)}"
            problems.append(Problem(key, f"found {shown(node)}", _FORMS, advice))
        elif not node:
            problems.append(Problem(key, "found an empty mapping", _FORMS))
        else:
            scalars = [str(k) for k, v in node.items() if v is not None and not isinstance(v, list | tuple | Mapping)]
            if scalars and any(closest(scalar, SPEC_KEYS) for scalar in scalars):
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
            close = closest(str(name), allowed)
            advice = f"nearest: {close}" if close else None
            problems.append(Problem(f"{key}.{name}", "there is no such part of a spec", ", ".join(allowed), advice))


def _choice(key: str, values: Any, problems: list[Problem]) -> Choice | None:
    if not isinstance(values, list | tuple):
        problems.append(Problem(f"{key}.choices", f"found {shown(values)}", "a list with at least one value"))
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
            problems.append(Problem(key, f"the choice {shown(value)} stands twice", advice="leave one out"))
        seen.add(canonical_value(value))
        read.append(value)
    return Choice(tuple(read))


def _unfit(value: Any) -> str | None:
    """What of a value cannot be a choice."""
    if isinstance(value, list | tuple):
        return next((wrong for part in value if (wrong := _unfit(part))), None)
    if isinstance(value, float) and not math.isfinite(value):
        return shown(value)
    if isinstance(value, str) and any(ord(character) < 32 and character != "\t" for character in value):
        return f"{shown(value)!r} with a control character, which no override can hold"
    if value is None or (isinstance(value, bool | int | float | str) and value != "???"):
        return None
    return shown(value)


def _interval(key: str, node: Mapping[str, Any], problems: list[Problem]) -> Spec | None:
    before = len(problems)
    is_integer, is_log = _flag(key, node, "integer", problems), _flag(key, node, "log", problems)
    low, high = _number(key, node, "low", problems), _number(key, node, "high", problems)
    step = _number(key, node, "step", problems, needed=False)
    if low is None or high is None or len(problems) > before:
        return None
    if low > high:
        problems.append(Problem(key, f"found low {low} above high {high}", "low <= high"))
    elif not _is_finite(high - low):
        problems.append(Problem(key, f"found a range from {low} to {high}", "one whose width is a finite number"))
    elif is_log and low <= 0:
        problems.append(Problem(key, f"found log with low {low}: there is no logarithm of it", "low > 0"))
    elif step is not None and not 0 < step <= (high - low) * (1 + NOISE):
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
    problems.append(Problem(f"{key}.{name}", f"found {shown(value)}", "true or false"))
    return False


def _number(
    key: str, node: Mapping[str, Any], name: str, problems: list[Problem], *, needed: bool = True
) -> float | int | None:
    value = node.get(name)
    if value is None:
        if needed:
            problems.append(Problem(f"{key}.{name}", "is missing", "a number"))
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        problems.append(Problem(f"{key}.{name}", f"found {shown(value)}", "a finite number"))
        return None
    return value


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond all real ones
        return False


def _short(number: float) -> str:
    return f"{number:.6g}"
