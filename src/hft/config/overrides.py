"""Check what was typed before it is composed: grammar, groups and their options, keys that do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException, OverrideParseException

from hft.config.report import CheckReport, Finding, listed, nearest
from hft.config.static import NotFoundError, NotVerifiableError
from hft.config.targets import TargetChecker
from hft.config.tree import all_keys, join, lookup

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

# Choices of one sweep that are looked at; a range may have millions.
MOST_CHOICES = 200


@dataclass
class Request:
    """Overrides that parse.

    Args:
        groups: overrides that choose an option of a group.
        values: every other one.
    """

    groups: list[Override] = field(default_factory=list)
    values: list[Override] = field(default_factory=list)

    @property
    def sweeps(self) -> list[Override]:
        return [o for o in [*self.groups, *self.values] if o.is_sweep_override()]

    def lines(self, *, values: bool = True, instead: dict[str, str] | None = None) -> list[str]:
        """Overrides to compose with: of a sweep its first choice, or the one that `instead` gives for its key."""
        chosen = [*self.groups, *self.values] if values else self.groups
        lines = [(instead or {}).get(o.get_key_element()) or first_line_of(o) for o in chosen]
        return [line for line in lines if line is not None]

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
        try:
            parsed.extend(parser.parse_overrides([line]))
        except OverrideParseException as error:
            report.errors.append(
                Finding(
                    line,
                    "this is not an override",
                    "KEY=VALUE, GROUP=OPTION, +KEY=VALUE or ~KEY",
                    advice=f"quote values that hold blanks or commas, KEY='\"a, b\"' ({_cause(error)})",
                )
            )
        except HydraException as error:
            report.errors.append(Finding(line, _cause(error)))
    return parsed


def sort_out(parsed: list[Override], loader: ConfigLoader, report: CheckReport) -> Request:
    """Tell groups from values, and refuse options that a group does not have."""
    request = Request()
    for override in parsed:
        if not _is_group(override, loader):
            if "/" in override.key_or_group:
                report.errors.append(_unknown_group(override, loader))
            else:
                request.values.append(override)
            continue
        options = loader.get_group_options(override.key_or_group, ObjectType.CONFIG)
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


def refuse_unknown_keys(
    request: Request, values: Any, checker: TargetChecker, loader: ConfigLoader, report: CheckReport
) -> None:
    """Drop overrides of keys that the composed config does not have, each with a finding.

    Args:
        request: the overrides; `values` loses those that are refused.
        values: plain values of the config that is composed without them.
        checker: to tell which arguments a target takes.
        loader: to tell groups.
        report: gets the findings.
    """
    kept = []
    for override in request.values:
        finding = _refused(override, values, checker, loader)
        if finding is None:
            kept.append(override)
        else:
            report.errors.append(finding)
    request.values = kept


def choices(override: Override) -> Iterator[str]:
    """A sweep's choices, each as an override of its own; at most `MOST_CHOICES`. Of an interval its ends."""
    if not override.is_discrete_sweep():
        interval: Any = override.value()
        yield from (f"{override.get_key_element()}={end}" for end in (interval.start, interval.end))
        return
    for count, value in enumerate(override.sweep_string_iterator()):
        if count == MOST_CHOICES:
            return
        yield f"{override.get_key_element()}={value}"


def first_line_of(override: Override) -> str | None:
    """An override as typed, or with the first choice of its sweep; None for an interval, which has no choices."""
    if override.value_type is ValueType.INTERVAL_SWEEP:
        return None
    if override.is_sweep_override():
        return next(choices(override), None)
    return str(override.input_line)


def _is_group(override: Override, loader: ConfigLoader) -> bool:
    if isinstance(override.value(), dict):
        return False
    name = override.key_or_group
    return any(loader.get_group_options(name, kind) for kind in (ObjectType.CONFIG, ObjectType.GROUP))


def _choices_of_group(override: Override) -> list[str]:
    if override.is_discrete_sweep():
        lines = [line.partition("=")[2] for line in choices(override)]
        return [line for line in lines if line != "null"]
    value = override.value()
    if isinstance(value, list):
        return [str(option) for option in value]
    return [] if value is None else [str(value)]


def _unknown_group(override: Override, loader: ConfigLoader) -> Finding:
    groups = sorted(_all_groups(loader))
    own = [group for group in groups if not group.startswith("hydra")]
    close = nearest(override.key_or_group, groups)
    return Finding(str(override.input_line), f"there is no group {override.key_or_group}", listed(own), close)


def _all_groups(loader: ConfigLoader, parent: str = "") -> Iterator[str]:
    for name in loader.list_groups(parent):
        group = f"{parent}/{name}" if parent else name
        yield group
        yield from _all_groups(loader, group)


def _refused(override: Override, values: Any, checker: TargetChecker, loader: ConfigLoader) -> Finding | None:
    key = override.key_or_group
    present, parent = _find(values, key)
    if override.package is not None:
        return _unknown_group(override, loader)
    if override.is_force_add():
        return None
    if override.is_add():
        if not present or isinstance(override.value(), dict | list):
            return None
        line = str(override.input_line)
        return Finding(line, f"{key} is there already", advice=f"write it without the plus: {line[1:]}")
    if present or parent is None:
        return None
    return _unknown_key(override, values, parent, checker, loader)


def _unknown_key(
    override: Override, values: Any, parent: tuple[str, Any], checker: TargetChecker, loader: ConfigLoader
) -> Finding:
    key = override.key_or_group
    prefix, siblings = parent
    name = key[len(prefix) :].lstrip(".").split(".")[0]
    if not isinstance(siblings, dict):
        return Finding(key, f"{prefix} holds {siblings!r}, so there is nothing under it")
    arguments: set[str] = set()
    target = siblings.get("_target_")
    if isinstance(target, str):
        try:
            arguments = set(checker.signature(target).by_name)
        except (NotFoundError, NotVerifiableError):
            arguments = set()
    if name in arguments and not override.is_delete():
        return Finding(
            key,
            f"the config does not set this argument of {target}",
            advice=f"to set it, put a plus before it: +{override.input_line}",
        )
    names = [str(sibling) for sibling in siblings if not str(sibling).startswith("_")]
    if not prefix:
        names += [group for group in loader.list_groups("") if group not in names]
        names = [group for group in names if group != "hydra"]
    return Finding(
        key,
        "there is no such key",
        listed(join(prefix, sibling) for sibling in names),
        _nearest_key(key, prefix, name, [*names, *sorted(arguments - set(names))], names, values),
    )


def _nearest_key(key: str, prefix: str, name: str, around: list[str], present: list[str], values: Any) -> str | None:
    close = nearest(name, around)
    if close is not None:
        return join(prefix, close) if close in present else f"+{join(prefix, close)}"
    elsewhere = [k for k in all_keys(values) if not k.startswith("hydra")]
    last = key.split(".")[-1]
    same_name = [k for k in elsewhere if k.split(".")[-1] == last]
    if same_name:
        return " or ".join(same_name[:3])
    by_name = {k.split(".")[-1]: k for k in reversed(elsewhere)}
    close = nearest(last, by_name)
    return nearest(key, elsewhere) or (by_name[close] if close else None)


def _find(values: Any, key: str) -> tuple[bool, tuple[str, Any] | None]:
    """Whether plain values have a dotted key; if not, the deepest part that they have, and what is there.

    The second is None where a reference is on the way: what is behind it is known only when it is followed.
    """
    parts = key.split(".")
    prefix = ""
    for part in parts:
        if isinstance(values, str) and "${" in values:
            return False, None
        try:
            inner = lookup(values, part)
        except KeyError:
            return False, (prefix, values)
        values, prefix = inner, join(prefix, part)
    return True, None


def _cause(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
