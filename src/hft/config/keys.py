"""Keys that overrides name: refuse those that the composed config does not have, and set the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from hft.config.composition_failures import explain_failure
from hft.config.groups import group_options
from hft.config.overrides import Request, first_choice, unknown_group
from hft.config.renamed import renamed_group
from hft.config.report import CheckReport, Finding, listed, nearest
from hft.config.static import NotFoundError, NotVerifiableError
from hft.config.targets import TargetChecker
from hft.config.tree import all_keys, join, lookup
from hft.search.spaces.problems import shown

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


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


def set_values(config: DictConfig, request: Request, report: CheckReport) -> None:
    """Set the values that a request names, of a sweep the first choice. What cannot be set is reported and dropped."""
    kept = []
    for override in request.values:
        chosen = first_choice(override)
        try:
            if chosen is not None:
                set_value(config, chosen)
        except (OmegaConfBaseException, AssertionError, ValueError, TypeError) as error:
            explain_failure(error, report, override)
        else:
            kept.append(override)
    request.values = kept


def set_value(config: DictConfig, override: Override) -> None:
    """Change, add or delete one value of a composed config, as Hydra does when it composes.

    Raises:
        OmegaConfBaseException: the value does not fit its place.
    """
    key, value = override.key_or_group, override.value()
    if not override.is_delete():
        added = override.is_add() or override.is_force_add()
        OmegaConf.update(config, key, value, merge=True, force_add=added)
        return
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if value is not None and node[name] != value:
        raise ValueError(f"it is {node[name]!r} and not {value!r}")
    with open_dict(config):
        del node[name]


def _refused(override: Override, values: Any, checker: TargetChecker, loader: ConfigLoader) -> Finding | None:
    key = override.key_or_group
    present, parent = _find(values, key)
    if override.package is not None:
        return unknown_group(override, loader)
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
    if not prefix and (old := renamed_group(str(override.input_line), key, override.value())) is not None:
        return old
    name = key[len(prefix) :].lstrip(".").split(".")[0]
    if not isinstance(siblings, dict):
        return Finding(
            key,
            f"{prefix} holds {shown(siblings)}, so there is nothing under it",
            advice=_whole(override, prefix, siblings),
        )
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
        names += [group for group in group_options(loader, "", ObjectType.GROUP) if group not in names]
        names = [group for group in names if group != "hydra"]
    return Finding(
        key,
        "there is no such key",
        listed(join(prefix, sibling) for sibling in names),
        _nearest_key(key, prefix, name, [*names, *sorted(arguments - set(names))], names, values),
    )


def _whole(override: Override, prefix: str, present: Any) -> str:
    """How to write a node that is no mapping yet, with the value that was meant to go into it."""
    name, value = override.key_or_group[len(prefix) + 1 :], str(override.input_line).partition("=")[2]
    if prefix != "search.pruner":
        return f"to make it a mapping, write '{prefix}={{{name}: {value}}}'"
    if name == "kind":
        return f"write {prefix}={value}, or with options '{prefix}={{kind: {value}, min_reports: 2}}'"
    otherwise = "hyperband" if name == "max_reports" else "asha"
    kind = present if isinstance(present, str) else otherwise
    return f"write it together with its kind: '{prefix}={{kind: {kind}, {name}: {value}}}'"


def _nearest_key(key: str, prefix: str, name: str, around: list[str], present: list[str], values: Any) -> str | None:
    close = nearest(name, around)
    if close is not None:
        return join(prefix, close) if close in present else f"+{join(prefix, close)}"
    # A search space repeats the keys that it varies.
    elsewhere = [k for k in all_keys(values) if not k.startswith(("hydra", "search.space."))]
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
