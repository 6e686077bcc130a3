"""Read the space of a search for the check: what can be read is checked on, whatever is wrong beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hft.config.groups import group_options
from hft.config.overrides import Request
from hft.config.report import CheckReport, Finding, listed, nearest
from hft.search import Choice, SearchSpace
from hft.search.spaces.parsing import read_space
from hft.search.specs import Spec

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

# Config key of the space.
SPACE = "search.space"


def space_to_check(
    mapping: dict[str, Any], request: Request, loader: ConfigLoader, report: CheckReport, *, is_searched: bool
) -> tuple[SearchSpace, bool]:
    """The part of a space that can be read, and whether that is all of it. What is wrong with the rest is reported.

    A misspelt option of a group counts as the one that was meant, so that conditions which name that one rightly hold.

    Args:
        mapping: the space as it stands in the config.
        request: says where else to look for options.
        loader: knows the options of groups.
        report: gets what is wrong.
        is_searched: whether the request searches. Else options that no group has are no mistake.
    """
    told: list[Finding] = []

    def meant(key: str, spec: Spec) -> Spec | None:
        return _with_options(key, spec, request, loader, told) if isinstance(spec, Choice) else spec

    parameters, problems = read_space(mapping, meant)
    for problem in problems:
        where = f"{SPACE}.{problem.key}" if problem.key else SPACE
        report.errors.append(Finding(where, problem.found, problem.allowed, advice=problem.advice))
    if is_searched:
        report.errors.extend(told)
    return SearchSpace(tuple(parameters)), not problems and not told


def _with_options(key: str, spec: Choice, request: Request, loader: ConfigLoader, told: list[Finding]) -> Choice | None:
    """A group's choice with options that there are; None where none is left. Other choices stay as they are."""
    group = key.lstrip("+").partition("@")[0]
    options = group_options(loader, group, searchpath=request.searchpath)
    if not options:
        return spec
    kept: list[Any] = []
    for value in spec.values:
        option = value
        if isinstance(value, str) and value not in options:
            option = nearest(value, options)
            found = f"found {value}, which is none of its options"
            told.append(Finding(f"{SPACE}.{key}", found, listed(options), option and f"{group}={option}"))
            if option is None:
                continue
        if option not in kept:
            kept.append(option)
    return Choice(tuple(kept)) if kept else None
