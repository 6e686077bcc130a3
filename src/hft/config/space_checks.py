"""Check a search space against the config that it varies: its keys, its groups' options, and each kind of value.

The space is parsed by hft.search itself, whose light parts this room may import: what the check accepts is what the
search accepts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from hft.config.choice_checks import COMPOSITION_ERRORS, ChoiceChecker
from hft.config.keys import refuse_unknown_keys
from hft.config.overrides import Request, sort_out
from hft.config.report import CheckReport, Finding
from hft.config.targets import TargetChecker
from hft.errors import ConfigError
from hft.search import Choice, Integer, Parameter, SearchSpace, Uniform, override_lines
from hft.search.specs import Spec

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

SPACE = "search.space"

# A real number between two ends, to find keys that take whole numbers only.
_BETWEEN = 0.37


@dataclass(frozen=True)
class _Entry:
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
    def where(self) -> str:
        return f"{SPACE}.{self.parameter.key}"

    @property
    def package(self) -> str:
        """Dotted key under which a group's options go."""
        return self.parameter.key.lstrip("+").partition("@")[0].replace("/", ".")


@dataclass(frozen=True)
class _Context:
    """What is chosen beside some parameters.

    Args:
        around: all of it.
        groups, values: its parts.
        members: the parameters.
    """

    around: tuple[Override, ...]
    groups: list[Override]
    values: list[Override]
    members: list[_Entry] = field(default_factory=list)


class SpaceChecker:
    """Checks one space, in a time that does not grow with all combinations: values of several parameters at once.

    Args:
        checker: composes and judges variants of the request.
        loader: to tell groups from values.
        targets: to tell which arguments a target takes.
        typed: keys that the command line brought into the space: an error is at the key itself then.
    """

    def __init__(
        self, checker: ChoiceChecker, loader: ConfigLoader, targets: TargetChecker, typed: set[str] | None = None
    ) -> None:
        self._typed = typed or set()
        self._checker = checker
        self._loader = loader
        self._targets = targets
        self._report = checker.report
        self._known = set(checker.report.errors)

    def check(self, space: SearchSpace, skip: set[str]) -> None:
        """Report what is wrong with a space.

        Args:
            space: parsed.
            skip: keys whose values are checked already.
        """
        entries = {p.key: entry for p in space.parameters if (entry := self._entry(p)) is not None}
        for entry in entries.values():
            if entry.is_group and entry.parameter.key not in skip:
                self._check_options(entry, entries)
        rest = [e for key, e in entries.items() if not e.is_group and key not in skip]
        for context in _by_context(rest, entries):
            self._check_values(context)

    def _entry(self, parameter: Parameter) -> _Entry | None:
        """A parameter's values as overrides; None where there is none, which is reported."""
        lines: list[str] = []
        try:
            for value in sample(parameter.spec):
                lines.extend(override_lines({parameter.key: value}))
            parsed = OverridesParser.create().parse_overrides(lines)
        except (ConfigError, *COMPOSITION_ERRORS) as error:
            self._report.errors.append(Finding(f"{SPACE}.{parameter.key}", str(error)))
            return None
        found = CheckReport()
        request = sort_out(parsed[:1], self._loader, found)
        if request.values:
            return _Entry(parameter, tuple(parsed), is_group=False)
        request.groups += sort_out(parsed[1:], self._loader, found).groups
        self._tell(found, parameter.key, "")
        return _Entry(parameter, tuple(request.groups), is_group=True) if request.groups else None

    def _check_options(self, entry: _Entry, entries: Mapping[str, _Entry]) -> None:
        for option in entry.values:
            if self._is_late(entry, option):
                return
            for around in _conditions(entry.parameter, entries):
                groups, values = _split([*around, option], entries)
                self._tell_of_group(self._checker.found_with(groups, values), _with([*around, option]))

    def _check_values(self, context: _Context) -> None:
        broken = CheckReport()
        try:
            config = self._checker.config_with(context.groups, context.values, broken)
        except COMPOSITION_ERRORS:
            return  # told with the group's option
        if not set(broken.errors) <= self._known:
            return  # likewise
        plain = OmegaConf.to_container(config, resolve=False)
        there: list[_Entry] = []
        for entry in context.members:
            found = CheckReport()
            request = Request(values=list(entry.values[:1]))
            refuse_unknown_keys(request, plain, self._targets, self._loader, found)
            self._tell(found, entry.parameter.key, _with(context.around))
            if not found.errors:
                there.append(entry)
        for together in zip_longest(*(entry.values for entry in there)):
            if self._is_late(there[0], together[0] or there[0].values[-1]):
                return
            self._check_together(context, [o for o in together if o is not None], there)

    def _check_together(self, context: _Context, together: Sequence[Override], entries: Sequence[_Entry]) -> None:
        """Check a value of each parameter in one go; only where something is wrong, one after the other."""
        if set(self._checker.found_with(context.groups, [*context.values, *together]).errors) <= self._known:
            return
        for override in together:
            entry = next(e for e in entries if override in e.values)
            found = self._checker.found_with(context.groups, [*context.values, override])
            self._tell(found, entry.parameter.key, _with([*context.around, override]))

    def _tell_of_group(self, found: CheckReport, suffix: str) -> None:
        """Report new errors where they are: the option's own values are no part of the space."""
        new = [replace(error, found=error.found + suffix) for error in found.errors if error not in self._known]
        self._report.errors.extend(error for error in new if error not in self._report.errors)

    def _is_late(self, entry: _Entry, first: Override) -> bool:
        if self._checker.is_late:
            self._checker.note_unchecked(entry.where, str(first.input_line))
        return self._checker.is_late

    def _tell(self, found: CheckReport, key: str, suffix: str) -> None:
        """Report new errors; those of the parameter's own key where the space sets it."""
        own = key.lstrip("+")
        for error in found.errors:
            if error in self._known:
                continue
            is_own = error.where.lstrip("+") == own or error.where.lstrip("+").startswith((f"{own}.", f"{own}="))
            where = f"{SPACE}.{key}" if is_own and key not in self._typed else error.where
            finding = replace(error, where=where, found=error.found + suffix)
            if finding not in self._report.errors:
                self._report.errors.append(finding)


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


def _by_context(entries: Sequence[_Entry], every: Mapping[str, _Entry]) -> list[_Context]:
    """Parameters by what must be chosen beside them: the values of their conditions, and each option of a searched
    group to which their key belongs."""
    contexts: dict[str, _Context] = {}
    for entry in entries:
        for around in _surroundings(entry, every):
            name = _with(around)
            if name not in contexts:
                contexts[name] = _Context(tuple(around), *_split(around, every))
            contexts[name].members.append(entry)
    return list(contexts.values())


def _surroundings(entry: _Entry, every: Mapping[str, _Entry]) -> Iterator[list[Override]]:
    key = entry.parameter.key.lstrip("+")
    for around in _conditions(entry.parameter, every):
        named = {override.get_key_element() for override in around}
        group = next((e for e in every.values() if e.is_group and key.startswith(f"{e.package}.")), None)
        if group is None or group.parameter.key in named:
            yield around
        else:
            yield from ([*around, option] for option in group.values)


def _conditions(parameter: Parameter, every: Mapping[str, _Entry]) -> list[list[Override]]:
    """What must be chosen for a parameter to exist, each value of its conditions in turn."""
    turns = max((len(wanted) for wanted in parameter.when.values()), default=1)
    return [_condition(parameter, every, turn) for turn in range(turns)]


def _condition(parameter: Parameter, every: Mapping[str, _Entry], turn: int) -> list[Override]:
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


def _split(overrides: Sequence[Override], every: Mapping[str, _Entry]) -> tuple[list[Override], list[Override]]:
    groups = [o for o in overrides if (e := every.get(o.get_key_element())) is not None and e.is_group]
    return groups, [o for o in overrides if o not in groups]


def _with(overrides: Sequence[Override]) -> str:
    return f" (with {' '.join(str(o.input_line) for o in overrides)})" if overrides else ""
