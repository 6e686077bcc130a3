"""Check what was typed before it is composed: the grammar, groups and their options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException, OverrideParseException

from hft.config.groups import all_groups, group_options
from hft.config.report import CheckReport, Finding, listed, nearest
from hft.config.tree import all_keys

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

# Choices of one sweep that are looked at; a range may have millions.
MOST_CHOICES = 200

_GRAMMAR = "KEY=VALUE, GROUP=OPTION, +KEY=VALUE or ~KEY"

_SEARCH_PATH = "hydra.searchpath"


@dataclass
class Request:
    """Overrides that parse.

    Args:
        groups: what decides which files are composed: options of groups, and where to search for them.
        values: what changes, adds or deletes values.
        refused: what was typed beside these, and was reported.
    """

    groups: list[Override] = field(default_factory=list)
    values: list[Override] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def refused_sweep(self) -> bool:
        """Whether something was refused that may have been meant to list values."""
        return any("," in line or "(" in line for line in self.refused)

    @property
    def searchpath(self) -> list[str]:
        """Overrides that say where to look for options."""
        return [str(o.input_line) for o in self.groups if o.key_or_group == _SEARCH_PATH]

    @property
    def sweeps(self) -> list[Override]:
        return [o for o in [*self.groups, *self.values] if o.is_sweep_override()]

    def lines(self, chosen: Sequence[Override] = ()) -> list[str]:
        """Overrides to compose with: of a sweep its first choice; `chosen` in place of those of the same group."""
        keys = {override.get_key_element() for override in chosen}
        kept = [first_choice(override) for override in self.groups if override.get_key_element() not in keys]
        return [str(override.input_line) for override in [*kept, *chosen] if override is not None]

    def options(self) -> dict[str, list[str]]:
        """Options of each group that the overrides choose, of a sweep all; none of a group that is left out."""
        chosen = [override for override in self.groups if override.key_or_group != _SEARCH_PATH]
        return {o.key_or_group: [] if o.is_delete() else _choices_of_group(o) for o in chosen}

    def named_keys(self) -> set[str]:
        """Dotted keys that the values name, those inside of dictionaries too."""
        keys: set[str] = set()
        for override in self.values:
            keys.add(override.key_or_group)
            value = override.value()
            if isinstance(value, dict):
                keys |= set(all_keys(value, override.key_or_group))
        return keys


def parse(overrides: Sequence[str], loader: ConfigLoader, report: CheckReport) -> list[Override]:
    """Overrides that follow the grammar; what does not is reported, one finding each."""
    parser = OverridesParser.create(config_loader=loader)
    parsed = []
    for line in overrides:
        if not line.strip(" ~+=") or line.lstrip(" ~+").startswith("="):
            found = "an empty argument is no override" if not line.strip() else "this override names no key"
            report.errors.append(Finding(line if line.strip() else repr(line), found, _GRAMMAR))
            continue
        try:
            parsed.extend(parser.parse_overrides([line]))
        except OverrideParseException as error:
            advice = f"quote values that hold blanks or commas, KEY='\"a, b\"' ({_cause(error)})"
            if "()" in line:
                advice = "a sweep needs values: KEY=a,b, choice(a,b), range(1,5), interval(0,1)"
            report.errors.append(Finding(line, "this is not an override", _GRAMMAR, advice=advice))
        except HydraException as error:
            report.errors.append(Finding(line, _cause(error)))
    return parsed


def sort_out(parsed: list[Override], loader: ConfigLoader, report: CheckReport) -> Request:
    """Tell groups from values, and refuse options that a group does not have."""
    request = Request()
    searchpath = [str(o.input_line) for o in parsed if o.key_or_group == _SEARCH_PATH]
    for override in parsed:
        if override.key_or_group == _SEARCH_PATH:
            request.groups.append(override)
            continue
        options = group_options(loader, override.key_or_group, searchpath=searchpath)
        if not _is_group(override, options, loader):
            if "/" in override.key_or_group:
                report.errors.append(unknown_group(override, loader))
            else:
                request.values.append(override)
            continue
        if override.value() is None and not override.is_delete():
            key = override.key_or_group
            advice = f"to leave the group out: ~{key}"
            report.errors.append(Finding(key, "found null, which is no option", listed(options), advice=advice))
            continue
        wrong = [] if override.is_delete() else [c for c in _choices_of_group(override) if c not in options]
        for choice in wrong:
            close = nearest(choice, options)
            report.errors.append(
                Finding(
                    override.key_or_group,
                    f"found {choice}, which is none of its options",
                    listed(options),
                    close and f"{override.key_or_group}={close}",
                )
            )
        if not wrong:
            request.groups.append(override)
    return request


def choices(override: Override) -> Iterator[Override]:
    """A sweep's choices, each as an override of its own; at most `MOST_CHOICES`. Of an interval its ends."""
    parser = OverridesParser.create()
    if override.is_discrete_sweep():
        values: Iterator[str] = islice(override.sweep_string_iterator(), MOST_CHOICES)
    else:
        interval: Any = override.value()
        values = iter((str(interval.start), str(interval.end)))
    for value in values:
        yield from parser.parse_overrides([f"{override.get_key_element()}={value}"])


def first_choice(override: Override) -> Override | None:
    """An override, or the first choice of its sweep; None for an interval, which has no choices."""
    if override.value_type is ValueType.INTERVAL_SWEEP:
        return None
    return next(choices(override), None) if override.is_sweep_override() else override


def _is_group(override: Override, options: list[str], loader: ConfigLoader) -> bool:
    if isinstance(override.value(), dict):
        return False
    return bool(options or group_options(loader, override.key_or_group, ObjectType.GROUP))


def _choices_of_group(override: Override) -> list[str]:
    """The options that an override chooses of a group, of a sweep all of them."""
    if override.is_discrete_sweep():
        return [str(choice.value()) for choice in choices(override)]
    value = override.value()
    if isinstance(value, list):
        return [str(option) for option in value]
    return [] if value is None else [str(value)]


def names_a_group(key: str, loader: ConfigLoader, request: Request) -> bool:
    """Whether a key, as it may stand in a search space, is a group and no value."""
    group, path = key.lstrip("+~").partition("@")[0], request.searchpath
    kinds = (ObjectType.CONFIG, ObjectType.GROUP)
    return any(group_options(loader, group, kind, searchpath=path) for kind in kinds)


def unknown_group(override: Override, loader: ConfigLoader) -> Finding:
    """What to say of an override of a group that does not exist."""
    groups = sorted(all_groups(loader))
    own = [group for group in groups if not group.startswith("hydra")]
    close = nearest(override.key_or_group, groups)
    return Finding(str(override.input_line), f"there is no group {override.key_or_group}", listed(own), close)


def _cause(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
