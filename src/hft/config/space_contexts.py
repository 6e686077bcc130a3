"""The values of a search space's parameters as overrides, and what must be chosen beside each to exist."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.types import Override

from hft.config.space_reading import SPACE
from hft.search import Choice, Integer, Parameter, Uniform, override_lines
from hft.search.specs import Spec

# A real number between two ends, to find keys that take whole numbers only.
_BETWEEN = 0.37


@dataclass(frozen=True)
class Entry:
    """A parameter with its values as overrides.

    Args:
        parameter: as the space has it.
        values: an override each.
        is_group: whether it chooses options of a group.
    """

    parameter: Parameter
    values: tuple[Override, ...]
    is_group: bool

    @property
    def between(self) -> Override | None:
        """The value that stands for all of a range but its ends."""
        return self.values[2] if not isinstance(self.parameter.spec, Choice) and len(self.values) > 2 else None

    @property
    def where(self) -> str:
        """Config key of the parameter in the space."""
        return f"{SPACE}.{self.parameter.key}"

    @property
    def package(self) -> str:
        """Dotted key under which a group's options go."""
        return self.parameter.key.lstrip("+").partition("@")[0].replace("/", ".")


@dataclass(frozen=True)
class Context:
    """What is chosen beside some parameters.

    Args:
        around: all of it.
        groups, values: its parts.
        members: the parameters.
    """

    around: tuple[Override, ...]
    groups: list[Override]
    values: list[Override]
    members: list[Entry] = field(default_factory=list)


def sample(spec: Spec) -> list[Any]:
    """Values that stand for all: of a choice each, of a range its ends and, of real numbers, one between."""
    if isinstance(spec, Choice):
        return list(spec.values)
    if isinstance(spec, Integer):
        return [spec.low, spec.high]
    if isinstance(spec, Uniform):
        between = [spec.low + _BETWEEN * (spec.high - spec.low)] if spec.step is None else [spec.low + spec.step]
        return [spec.low, spec.high, *(between if spec.low < spec.high else [])]
    return [math.exp(min(spec.mean, 700.0)) if spec.log else spec.mean]


def by_context(entries: Sequence[Entry], every: Mapping[str, Entry]) -> list[Context]:
    """Parameters by what must be chosen beside them: the values of their conditions, and each option of a searched
    group to which their key belongs."""
    contexts: dict[str, Context] = {}
    for entry in entries:
        for around in _surroundings(entry, every):
            name = in_words(around)
            if name not in contexts:
                contexts[name] = Context(tuple(around), *split(around, every))
            contexts[name].members.append(entry)
    return list(contexts.values())


def _surroundings(entry: Entry, every: Mapping[str, Entry]) -> Iterator[list[Override]]:
    key = entry.parameter.key.lstrip("+")
    for around in conditions(entry.parameter, every):
        named = {override.get_key_element() for override in around}
        group = group_of(key, every)
        if group is None or group.parameter.key in named:
            yield around
        else:
            yield from ([*around, option] for option in group.values)


def group_of(key: str, every: Mapping[str, Entry]) -> Entry | None:
    """The searched group to whose options a key belongs."""
    return next((e for e in every.values() if e.is_group and key.startswith(f"{e.package}.")), None)


def conditions(parameter: Parameter, every: Mapping[str, Entry]) -> list[list[Override]]:
    """What must be chosen for a parameter to exist, each value of its conditions in turn."""
    turns = max((len(wanted) for wanted in parameter.when.values()), default=1)
    return [_condition(parameter, every, turn) for turn in range(turns)]


def _condition(parameter: Parameter, every: Mapping[str, Entry], turn: int) -> list[Override]:
    chosen: list[Override] = []
    for parent, wanted in parameter.when.items():
        if parent in every:
            needed = _condition(every[parent].parameter, every, 0)
            needed += [o for o in every[parent].values if _is_for(o, wanted[turn % len(wanted)])]
            chosen += [override for override in needed if override not in chosen]
    return chosen


def _is_for(override: Override, value: Any) -> bool:
    (line,) = override_lines({override.get_key_element(): value})
    return override.input_line == line


def split(overrides: Sequence[Override], every: Mapping[str, Entry]) -> tuple[list[Override], list[Override]]:
    """Overrides of searched groups, and the others."""
    groups = [o for o in overrides if (e := every.get(o.get_key_element())) is not None and e.is_group]
    return groups, [o for o in overrides if o not in groups]


def in_words(overrides: Sequence[Override]) -> str:
    """Overrides as an addition to a message; empty where there is none."""
    return f" (with {' '.join(str(o.input_line) for o in overrides)})" if overrides else ""
