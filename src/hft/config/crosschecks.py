"""What single values cannot tell: whether parts of a config go together."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from hft.config.report import CheckReport, Finding, listed, nearest
from hft.config.static import NotFoundError, NotVerifiableError
from hft.config.targets import TargetChecker
from hft.config.tree import UNKNOWN, ConfigTree, lookup

# What a shared tower does not use: it has the items tower's rate and decay.
_OF_THE_QUERY_TOWER = ("query_lr", "query_weight_decay")

# What `settings` holds for schedulers that refer to it, and no other.
_OF_A_SCHEDULER = ("step_size", "gamma")


def cross_check(
    tree: ConfigTree, checker: TargetChecker, named: Iterable[str], defaults: dict[str, Any], report: CheckReport
) -> None:
    """Check what goes together.

    Args:
        tree: the config.
        checker: reads targets.
        named: dotted keys that the user named on the command line.
        defaults: the values of the shipped train.yaml, to tell which ones were set.
    """
    named = set(named)
    _check_main_metric(tree, checker, report)
    _check_one_device(tree, report)
    _warn_of_ignored(tree, checker, named, defaults, report)


def _check_main_metric(tree: ConfigTree, checker: TargetChecker, report: CheckReport) -> None:
    names = _metric_names(tree, checker)
    if names is None:
        return
    for key in ("method.main_metric", "search.metric"):
        name = _get(tree, key)
        if tree.is_reference(key) or not isinstance(name, str):
            continue
        if name not in names:
            report.errors.append(
                Finding(
                    key,
                    f"{name} is none of the metrics that are computed",
                    listed(names),
                    nearest(name, names),
                    "choose one of them, or add it under metrics.calculators",
                )
            )
            continue
        direction_key = "method.direction" if key.startswith("method") else "search.direction"
        direction = _get(tree, direction_key)
        better = "maximize" if names[name] else "minimize"
        if names[name] is not None and direction in ("maximize", "minimize") and direction != better:
            report.warnings.append(
                Finding(direction_key, f"found {direction}, but {name} is better when {_in_words(better)}", better)
            )


def _in_words(direction: str) -> str:
    return "higher" if direction == "maximize" else "lower"


def _metric_names(tree: ConfigTree, checker: TargetChecker) -> dict[str, bool | None] | None:
    """Names of the computed metrics with whether higher is better; None where one cannot be told."""
    calculators = _get(tree, "metrics.calculators")
    if not isinstance(calculators, dict):
        return None
    names: dict[str, bool | None] = {}
    for node in calculators.values():
        target = node.get("_target_") if isinstance(node, dict) else None
        base = checker.constant(target, "base_name") if isinstance(target, str) else None
        if not isinstance(base, str) or not isinstance(target, str):
            return None
        cut = _argument(node, "k", target, checker)
        if cut is UNKNOWN:
            return None
        higher = checker.constant(target, "higher_is_better")
        names[base if cut is None else f"{base}@{cut}"] = higher if isinstance(higher, bool) else None
    return names


def _argument(node: dict[str, Any], name: str, target: str, checker: TargetChecker) -> Any:
    """What a target gets for an argument: the config's value, else its default; None where it takes none."""
    if name in node:
        return node[name]
    try:
        parameter = checker.signature(target).by_name.get(name)
    except (NotFoundError, NotVerifiableError):
        return UNKNOWN
    if parameter is None:
        return None
    try:
        return ast.literal_eval(parameter.default) if parameter.default is not None else UNKNOWN
    except ValueError:
        return UNKNOWN


def _check_one_device(tree: ConfigTree, report: CheckReport) -> None:
    devices = _get(tree, "trainer.devices")
    one = devices in (None, 1, "1", UNKNOWN) or (isinstance(devices, list) and len(devices) == 1)
    # A string such as "0," names the indices of devices.
    if isinstance(devices, str) and len([part for part in devices.split(",") if part.strip()]) == 1 and "," in devices:
        one = True
    if isinstance(devices, bool) or not one:
        report.errors.append(
            Finding(
                "trainer.devices",
                f"found {devices!r}; more than one device comes with the distributed engines",
                "1, or a list with one index",
                advice="write trainer.devices=1",
            )
        )
    nodes = _get(tree, "trainer.num_nodes")
    if nodes not in (None, 1, UNKNOWN):
        report.errors.append(
            Finding("trainer.num_nodes", f"found {nodes!r}; more than one node comes with the distributed engines", "1")
        )
    strategy = _get(tree, "trainer.strategy")
    if isinstance(strategy, str) and strategy not in ("auto", "single_device"):
        report.errors.append(
            Finding(
                "trainer.strategy",
                f"found {strategy}; more than one device comes with the distributed engines",
                "auto or single_device",
            )
        )


def _warn_of_ignored(
    tree: ConfigTree, checker: TargetChecker, named: set[str], defaults: dict[str, Any], report: CheckReport
) -> None:
    for part in ("loss", "method"):
        target = _get(tree, f"{part}._target_")
        ignored = checker.constant(target, "ignores") if isinstance(target, str) else None
        for name in sorted(ignored or ()):
            if _is_set(tree, f"params.{name}", named, defaults):
                _warn(report, f"params.{name}", f"is set, but the {part} {target} ignores it")
    if _shared_tower(tree, checker):
        for name in _OF_THE_QUERY_TOWER:
            if _is_set(tree, f"params.{name}", named, defaults):
                items = name.replace("query", "items")
                _warn(
                    report,
                    f"params.{name}",
                    "is set, but the towers are shared (model.shared) and the query tower has no weights of its own",
                    f"set params.{items}, which a shared tower uses",
                )
    for name in _OF_A_SCHEDULER:
        key = f"settings.{name}"
        if _is_set(tree, key, named, defaults) and not tree.refers_to(key):
            scheduler = _get(tree, "scheduler._target_")
            found = f"is set, but the scheduler {scheduler} ignores it"
            _warn(report, key, found, "use scheduler=step_lr, or leave it")


def _shared_tower(tree: ConfigTree, checker: TargetChecker) -> bool:
    model = _get(tree, "model")
    target = model.get("_target_") if isinstance(model, dict) else None
    return isinstance(target, str) and _argument(model, "shared", target, checker) is True


def _is_set(tree: ConfigTree, key: str, named: set[str], defaults: dict[str, Any]) -> bool:
    if key in named:
        return True
    try:
        return bool(_get(tree, key) != lookup(defaults, key))
    except KeyError:
        return False


def _warn(report: CheckReport, key: str, found: str, advice: str | None = None) -> None:
    report.warnings.append(Finding(key, found, advice=advice))


def _get(tree: ConfigTree, key: str) -> Any:
    try:
        return lookup(tree.values, key)
    except (KeyError, TypeError):
        return None
