"""Check a search: its settings, the sweeper that runs it, and, where the request is a search, its space.

`hft.search` parses the space here exactly as when it searches, so that the two cannot disagree; it is the one room that
this one imports, and only its light parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hft.config.choice_checks import ChoiceChecker
from hft.config.keys import refuse_unknown_keys
from hft.config.no_effect import ineffective_keys
from hft.config.overrides import Request, names_a_group, parse, sort_out
from hft.config.report import CheckReport, Finding, listed
from hft.config.schema import SearchNode
from hft.config.space_checks import SpaceChecker
from hft.config.space_reading import SPACE, space_to_check
from hft.config.targets import TargetChecker
from hft.errors import ConfigError
from hft.search import ALGORITHMS, SearchSpace, parameter_of

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

# Engine of each of hft's own sweepers.
ENGINES = {"hft_hyperopt": "hyperopt", "hft_optuna": "optuna"}


def searches(request: Request) -> bool:
    """Whether a request with -m searches: a search is named, or nothing is swept. Else it enumerates."""
    names_a_search = any(override.key_or_group == "search" for override in request.groups)
    meant_to = any(line.lstrip("+").startswith("search=") for line in request.refused)
    return names_a_search or meant_to or not (request.sweeps or request.refused_sweep)


def check_search(
    checker: ChoiceChecker, loader: ConfigLoader, targets: TargetChecker, *, multirun: bool | None
) -> None:
    """Check the search of a request.

    Args:
        checker: of the request.
        loader: to tell groups from values.
        targets: to tell which arguments a target takes.
        multirun: whether it is about to run; None: it is not known. A single run's space is only read for mistakes.
    """
    request, report = checker.request, checker.report
    node = _search_node(checker.config)
    if node is None:
        return
    _refuse_options_elsewhere(request, report)
    before = len(report.errors)
    _check_space(checker, loader, targets, node, multirun=multirun)
    if multirun is None and not _asks_to_search(request):
        report.warnings += [replace(found, found=f"with -m: {found.found}") for found in report.errors[before:]]
        del report.errors[before:]


def _asks_to_search(request: Request) -> bool:
    """Whether anything of a request is about a search; one that is not may be about a single training."""
    named = [override.key_or_group for override in [*request.groups, *request.values]]
    is_named = any(key.partition(".")[0] == "search" or key.startswith("hydra/") for key in named)
    return bool(is_named or request.sweeps or request.refused_sweep or request.refused)


def _check_space(
    checker: ChoiceChecker,
    loader: ConfigLoader,
    targets: TargetChecker,
    node: dict[str, Any],
    *,
    multirun: bool | None,
) -> None:
    request, report = checker.request, checker.report
    is_searched = multirun is not False and searches(request)
    mapping = node.get("space") or {}
    space, is_whole = space_to_check(mapping, request, loader, report, is_searched=is_searched)
    if not is_searched:
        return
    _check_sweeper(node, str(checker.config.hydra.runtime.choices.get("hydra/sweeper")), report)
    _check_pruner(node, report)
    _check_reuse(node, checker.config, report)
    swept = [o for o in request.sweeps if o.get_key_element() != "seed"]
    read = len(report.errors)
    space = _with_the_command_line(space, request, swept, report)
    is_whole = is_whole and len(report.errors) == read and not request.refused_sweep
    if node.get("reuse") != "replay" and is_whole:
        if multirun:
            _check_there_is_something_to_do(space, node, report)
        if multirun or swept:
            _check_something_has_an_effect(space, checker, loader, targets)
    if node.get("algorithm") == "grid" and len(space) and space.size is None:
        found = "found grid, but the space has ranges without a step, of which there is no grid"
        report.errors.append(Finding("search.algorithm", found, "lists, whole numbers and stepped ranges"))
    groups = [o for o in request.groups if o.is_sweep_override()]
    listed_here = {
        o.get_key_element()
        for o in swept
        if o.is_discrete_sweep() and not any(checker.is_of_space(o.key_or_group, group) for group in groups)
    }
    typed = {o.get_key_element() for o in swept}
    SpaceChecker(checker, loader, targets, typed).check(space, skip=listed_here)
    _check_stages(node.get("stages") or [], checker, loader, targets)


def _search_node(config: DictConfig) -> dict[str, Any] | None:
    """Plain values; None where they cannot be read or are not of the kind that they should, which is told elsewhere."""
    try:
        node: Any = OmegaConf.to_container(config.search, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, ValueError):
        return None
    return node if isinstance(node, dict) and isinstance(node.get("space") or {}, dict) else None


def _refuse_options_elsewhere(request: Request, report: CheckReport) -> None:
    """What other Hydra apps set under hydra.sweeper stands under `search` here, and would be ignored there."""
    for override in request.values:
        parent, _, name = override.key_or_group.rpartition(".")
        if parent == "hydra.sweeper" and name in SearchNode.model_fields:
            report.errors.append(
                Finding(override.key_or_group, "hft reads it under search", advice=f"write search.{name}=VALUE")
            )


def _check_sweeper(node: dict[str, Any], sweeper: str, report: CheckReport) -> None:
    engine = ENGINES.get(sweeper)
    if engine is None:
        return
    algorithm = node.get("algorithm")
    others = [name for name, other in ENGINES.items() if algorithm in ALGORITHMS[other] and other != engine]
    if others and algorithm not in ALGORITHMS[engine]:
        advice = f"hydra/sweeper={others[0]} has it"
        found = f"found {algorithm}, which {sweeper} does not have"
        report.errors.append(Finding("search.algorithm", found, listed(ALGORITHMS[engine]), advice=advice))
    metrics = node.get("metric")
    if isinstance(metrics, list) and len(metrics) > 1 and engine != "optuna":
        found = f"found {len(metrics)} metrics, and {sweeper} takes one"
        report.errors.append(Finding("search.metric", found, advice="add hydra/sweeper=hft_optuna, or name one"))


def _check_pruner(node: dict[str, Any], report: CheckReport) -> None:
    pruner = node.get("pruner")
    pruner = {"kind": pruner} if isinstance(pruner, str) else pruner
    if isinstance(pruner, dict) and pruner.get("kind") == "hyperband" and pruner.get("max_reports") is None:
        found = "is missing: hyperband needs the number of reports of a trial that is never stopped"
        advice = "write 'search.pruner={kind: hyperband, max_reports: 9}', or search.pruner=asha"
        report.errors.append(Finding("search.pruner.max_reports", found, "a whole number, at least 1", advice=advice))


def _check_reuse(node: dict[str, Any], config: DictConfig, report: CheckReport) -> None:
    start = OmegaConf.select(config, "iteration.start_from", throw_on_resolution_failure=False)
    if node.get("reuse") in ("replay", "warm_start") and start is None:
        found = f"found {node['reuse']}, but no iteration comes before this one (iteration.start_from is null)"
        report.errors.append(Finding("search.reuse", found, advice="add iteration=next, or iteration.start_from=RUN"))


def _check_stages(stages: Any, checker: ChoiceChecker, loader: ConfigLoader, targets: TargetChecker) -> None:
    """Check the overrides that a stage's trials get."""
    for position, stage in enumerate(stages if isinstance(stages, list) else []):
        lines = stage.get("overrides") if isinstance(stage, dict) else None
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            continue  # told as a wrong type
        found = CheckReport()
        request = sort_out(parse(lines, loader, found), loader, found)
        found.errors += [Finding(str(o.input_line), "is a sweep: a stage fixes values") for o in request.sweeps]
        if not found.errors:
            plain = OmegaConf.to_container(checker.config, resolve=False)
            refuse_unknown_keys(request, plain, targets, loader, found)
            found.add(checker.found_with(request.groups, request.values))
        for error in found.errors:
            if error not in checker.report.errors:
                told = f"{error.where}: {error.found}"
                checker.report.errors.append(replace(error, where=f"search.stages.{position}.overrides", found=told))


def _with_the_command_line(
    space: SearchSpace, request: Request, swept: Iterable[Override], report: CheckReport
) -> SearchSpace:
    """The space as the search gets it: with what the command line sweeps, without what it fixes."""
    fixed = [o for o in [*request.groups, *request.values] if not o.is_sweep_override() and not o.is_delete()]
    space = space.with_fixed({override.get_key_element(): override.value() for override in fixed})
    for override in swept:
        try:
            space = space.with_parameters([parameter_of(override)])
        except ConfigError as error:
            line = str(override.input_line)
            report.errors.append(Finding(line, str(error).removeprefix(f"{line}: ")))
    return space


def _check_there_is_something_to_do(space: SearchSpace, node: dict[str, Any], report: CheckReport) -> None:
    if not len(space):
        advice = "name a space (search=initial, text, broad), or give values: params.items_lr=1e-5,1e-4"
        report.errors.append(Finding(SPACE, "is empty: there is nothing to search", advice=advice))
    elif space.size is None and not any(node.get(key) for key in ("max_evals", "timeout", "stages")):
        found = "there is no limit, and the space has ranges without an end of values"
        advice = "write search.max_evals=20, or search.timeout=SECONDS"
        report.errors.append(Finding("search.max_evals", found, "a number of trials", advice=advice))


def _check_something_has_an_effect(
    space: SearchSpace, checker: ChoiceChecker, loader: ConfigLoader, targets: TargetChecker
) -> None:
    """Refuse a space of which the search would leave out everything. A searched group may change what has an effect."""
    keys, report = list(space.keys()), checker.report
    if any(names_a_group(key, loader, checker.request) for key in keys):
        return
    idle = ineffective_keys(checker.config, keys, targets)
    if keys and set(keys) <= set(idle):
        told = "; ".join(f"{key}: {reason}" for key, reason in idle.items())
        advice = "search other parameters, or choose what uses these"
        report.errors.append(Finding(SPACE, f"all of what is searched has no effect: {told}", advice=advice))
        report.warnings = [warning for warning in report.warnings if warning.where not in idle]
