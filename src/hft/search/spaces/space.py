"""What a search may vary: parameters by config key, with conditions. The same for every engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hft.errors import ConfigError
from hft.search.spaces.conditions import bare_key, resolve_conditions
from hft.search.spaces.enumeration import is_value_of, size_of, values_of
from hft.search.spaces.identity import canonical, canonical_value, same_value
from hft.search.spaces.narrowing import narrowed_spec
from hft.search.spaces.parsing import RAW_KEY, read_space
from hft.search.spaces.problems import Problem, space_error
from hft.search.specs import Choice, Integer, Normal, Parameter, Params, RawValue, Spec

__all__ = ["SearchSpace", "canonical", "space_changes"]


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """Parameters of a search, parents before the children that are conditional on them. Never changes.

    Two spaces are equal if they hold the same parameters in the same order.
    """

    parameters: tuple[Parameter, ...]

    @classmethod
    def parse(cls, mapping: Mapping[str, Any], where: str = "search.space") -> SearchSpace:
        """Read a space as it stands in a config.

        Args:
            mapping: plain containers, by config key or group, dotted or nested: `[a, b]` a choice; `{low, high}`
                uniform, with `log: true`, `integer: true` (ends included), `step: q`; `{mean, std}` normal, with
                `log`, `step`; `{choices: [a, b]}`; each mapping with `when: {KEY: value or values}` to exist only
                where another choice has one of the values. Null: left out.
            where: config key of the space, for errors.

        Raises:
            ConfigError: every problem of the space, each with its key, what was found and what is allowed.
        """
        if not isinstance(mapping, Mapping):
            raise ConfigError(f"{where}: found {mapping!r}; allowed: a mapping of config keys to what they may be")
        parameters, problems = read_space(mapping)
        if problems:
            raise space_error(where, problems)
        return cls(tuple(parameters))

    @cached_property
    def size(self) -> int | None:
        """Number of distinct points; None where they cannot be counted."""
        return None if any(size_of(p.spec) is None for p in self.parameters) else self._count({}, 0)

    def points(self) -> Iterator[Params]:
        """Every point of a space that can be counted, the last parameter fastest, as Hydra enumerates."""
        yield from self._points({}, 0)

    def active(self, values: Mapping[str, Any]) -> Params:
        """Values without those of parameters whose condition does not hold, in the order of the space.

        Args:
            values: by key; keys that the space does not have are left out.
        """
        params: Params = {}
        for parameter in self.parameters:
            if parameter.key in values and _holds(parameter, params):
                params[parameter.key] = values[parameter.key]
        return params

    def contains(self, params: Params) -> bool:
        """Whether these are a point of the space: all active parameters, no other, each with a value of its spec."""
        expected = [p for p in self.parameters if _holds(p, params)]
        if {p.key for p in expected} != set(params):
            return False
        return all(is_value_of(p.spec, params[p.key]) for p in expected)

    def narrowed(self, best: Params, share: float) -> SearchSpace:
        """A space around a point.

        A range keeps `share` of its width (of its logarithm's width with `log`) around the point, moved inside of
        the range; a normal distribution is centred on the point, its deviation times `share`; of a choice of
        numbers that share of the values stays which lies nearest, at least two. Other choices have no order and stay
        whole, and so do parameters that the point does not have.

        Args:
            best: a point of the space, or of one that has some of its keys.
            share: 0 < share <= 1.
        """
        return self._with(
            [
                Parameter(p.key, narrowed_spec(p.spec, best[p.key], share) if p.key in best else p.spec, p.when)
                for p in self.parameters
            ]
        )

    def with_parameters(self, parameters: Iterable[Parameter]) -> SearchSpace:
        """The space with more parameters. One of a key that is there (with or without `+`) takes its place and,
        if it brings none, its condition; a child whose condition cannot hold any more is left out.

        Raises:
            ConfigError: a condition names what is no parameter, no choice, or no value of it.
        """
        by_key = {bare_key(p.key): p for p in self.parameters}
        for new in parameters:
            old = by_key.get(bare_key(new.key))
            when = new.when or (old.when if old is not None else {})
            by_key[bare_key(new.key)] = Parameter(new.key, new.spec, when)
        return self._with(list(by_key.values()))

    def without(self, keys: Iterable[str]) -> SearchSpace:
        """The space without some parameters, and without those that are conditional on them, and so on.

        To keep those whose condition a fixed value meets, use `with_fixed`.
        """
        gone = {bare_key(key) for key in keys}
        kept: list[Parameter] = []
        for parameter in self.parameters:
            if bare_key(parameter.key) in gone or any(bare_key(parent) in gone for parent in parameter.when):
                gone.add(bare_key(parameter.key))
            else:
                kept.append(parameter)
        return SearchSpace(tuple(kept))

    def with_fixed(self, values: Mapping[str, Any]) -> SearchSpace:
        """The space without parameters that have a fixed value. What is conditional on one stays, without the
        condition, where the value meets it, and goes where not.

        Args:
            values: fixed values by key or group; keys that the space does not have change nothing.
        """
        fixed = {bare_key(key): value for key, value in values.items()}
        gone: list[str] = []
        kept: list[Parameter] = []
        for parameter in self.parameters:
            if bare_key(parameter.key) in fixed:
                continue
            met = {parent: wanted for parent, wanted in parameter.when.items() if bare_key(parent) in fixed}
            if not all(_is_any(fixed[bare_key(parent)], wanted) for parent, wanted in met.items()):
                gone.append(parameter.key)
            when = {parent: wanted for parent, wanted in parameter.when.items() if parent not in met}
            kept.append(Parameter(parameter.key, parameter.spec, when))
        return SearchSpace(tuple(kept)).without(gone)

    def restored(self, params: Mapping[str, Any]) -> Params:
        """Parameters that were read from JSON, as the space has them: choices by their own value, in Hydra's
        grammar where they are written in it, and real numbers as floats.

        Args:
            params: what is not of the space is taken as it stands.
        """
        return {key: _restored(self, key, value) for key, value in params.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON takes, and that parse again to an equal space."""
        return {parameter.key: _plain_parameter(parameter) for parameter in self.parameters}

    def keys(self) -> KeysView[str]:
        """Keys of the parameters, in order."""
        return {parameter.key: None for parameter in self.parameters}.keys()

    def __len__(self) -> int:
        return len(self.parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __getitem__(self, key: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.key == key:
                return parameter
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(parameter.key == key for parameter in self.parameters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> str:
        return canonical_value([[key, spec] for key, spec in self.to_dict().items()])

    def _with(self, parameters: list[Parameter]) -> SearchSpace:
        """A space of changed parameters: conditions lose values that are gone, and children that can never be go."""
        problems: list[Problem] = []
        by_key = {bare_key(p.key): p for p in parameters}
        gone: list[str] = []
        kept: list[Parameter] = []
        for parameter in parameters:
            when: dict[str, tuple[Any, ...]] = {}
            for parent_key, wanted in parameter.when.items():
                parent = by_key.get(bare_key(parent_key))
                is_old = any(p.when and p.when == parameter.when for p in self.parameters)
                if parent is not None and is_old and isinstance(parent.spec, Choice):
                    wanted = tuple(v for v in wanted if _is_any(v, parent.spec.values))
                    if not wanted:
                        gone.append(parameter.key)
                when[parent.key if parent is not None else parent_key] = wanted
            kept.append(Parameter(parameter.key, parameter.spec, when))
        remaining = list(SearchSpace(tuple(kept)).without(gone).parameters) if gone else kept
        resolved = resolve_conditions(remaining, problems, set())
        if problems:
            raise space_error("search.space", problems)
        return SearchSpace(tuple(resolved))

    def _points(self, chosen: Params, position: int) -> Iterator[Params]:
        if position == len(self.parameters):
            yield dict(chosen)
            return
        parameter = self.parameters[position]
        if not _holds(parameter, chosen):
            yield from self._points(chosen, position + 1)
            return
        for value in values_of(parameter.spec):
            yield from self._points({**chosen, parameter.key: value}, position + 1)

    def _count(self, chosen: Params, position: int) -> int:
        """Points from a position on. Only parents are gone through value by value: nothing depends on the others."""
        parents = {parent for parameter in self.parameters for parent in parameter.when}
        factor = 1
        for at in range(position, len(self.parameters)):
            parameter = self.parameters[at]
            if not _holds(parameter, chosen):
                continue
            if parameter.key in parents:
                values = values_of(parameter.spec)
                return factor * sum(self._count({**chosen, parameter.key: value}, at + 1) for value in values)
            factor *= size_of(parameter.spec) or 1
        return factor


def space_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two spaces as `to_dict` gives them, or between other plain mappings, a line each."""
    lines = []
    for key in [*old, *(key for key in new if key not in old)]:
        if key not in new:
            lines.append(f"{key}: {_in_words(old[key])} -> not in it any more")
        elif key not in old:
            lines.append(f"{key}: not in it before -> {_in_words(new[key])}")
        elif canonical_value(old[key]) != canonical_value(new[key]):
            lines.append(f"{key}: {_in_words(old[key])} -> {_in_words(new[key])}")
    shared = [key for key in old if key in new]
    if not lines and shared != [key for key in new if key in old]:
        lines.append(f"order of the parameters: {', '.join(old)} -> {', '.join(new)}")
    return lines


def _holds(parameter: Parameter, chosen: Mapping[str, Any]) -> bool:
    return all(parent in chosen and _is_any(chosen[parent], wanted) for parent, wanted in parameter.when.items())


def _is_any(value: Any, values: Iterable[Any]) -> bool:
    return any(same_value(value, other) for other in values)


def _restored(space: SearchSpace, key: str, value: Any) -> Any:
    if key not in space:
        return value
    spec = space[key].spec
    if isinstance(spec, Choice):
        exact = [own for own in spec.values if canonical_value(own) == canonical_value(value)]
        return next((own for own in [*exact, *spec.values] if same_value(own, value)), value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return int(value) if isinstance(spec, Integer) else float(value)


def _plain_parameter(parameter: Parameter) -> Any:
    node = _plain_spec(parameter.spec)
    if not parameter.when:
        return node
    when = {parent: [_plain_value(value) for value in wanted] for parent, wanted in parameter.when.items()}
    return {**(node if isinstance(node, dict) else {"choices": node}), "when": when}


def _plain_spec(spec: Spec) -> Any:
    if isinstance(spec, Choice):
        return [_plain_value(value) for value in spec.values]
    node: dict[str, Any]
    node = {"mean": spec.mean, "std": spec.std} if isinstance(spec, Normal) else {"low": spec.low, "high": spec.high}
    if isinstance(spec, Integer):
        node["integer"] = True
    if spec.log:
        node["log"] = True
    if spec.step not in (None, 1) or (spec.step == 1 and not isinstance(spec, Integer)):
        node["step"] = spec.step
    return node


def _plain_value(value: Any) -> Any:
    if isinstance(value, RawValue):
        return {RAW_KEY: str(value)}
    return [_plain_value(part) for part in value] if isinstance(value, list | tuple) else value


def _in_words(node: Any) -> str:
    return json.dumps(node, ensure_ascii=False)
