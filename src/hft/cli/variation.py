"""The config of a variation: a recorded one, with overrides as `hft train` takes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.config.overrides import Request
    from hft.experiments import RunRecord

Tree = dict[str, Any]


@dataclass(frozen=True)
class Variation:
    """A varied config, its interpolations kept.

    Args:
        config: the config.
        choices: option of each group that was overridden.
        targets: every `_target_` of the user's own composition: what `hft train` would run, this may run.
        warnings: of the check.
    """

    config: DictConfig
    choices: dict[str, Any]
    targets: list[str]
    warnings: list[str]


def vary_config(recorded: RunRecord, overrides: Sequence[str], outputs: str) -> Variation:
    """Applies overrides to a recorded config.

    A value override changes its key, and what refers to it follows. A group override composes the group as
    `hft train` would now, and replaces its node whole. Where the run lands and is tracked is never taken from the
    record.

    Args:
        recorded: the run.
        overrides: as `hft train` takes them.
        outputs: where runs of the user land.

    Raises:
        ConfigError: an override that the check refuses; all of them in one message.
    """
    from hft.config import check_config, compose
    from hft.config.composer import config_loader
    from hft.config.keys import refuse_unknown_keys
    from hft.config.overrides import parse, sort_out
    from hft.config.report import CheckReport, Finding
    from hft.config.targets import TargetChecker
    from hft.experiments.saved_config import apply_changes, config_to_vary, graft

    report, checker = CheckReport(), TargetChecker()
    with config_loader() as loader:
        request = sort_out(parse(overrides, loader, report), loader, report)
        before_lines, after_lines = _lines(recorded, request, loader)
    for sweep in request.sweeps:
        advice = "vary one value at a time; `hft train -m` sweeps"
        report.errors.append(Finding(str(sweep.input_line), "several values for one run", advice=advice))
    report.raise_errors()

    config = config_to_vary(recorded, _container(compose([])), outputs)
    targets: list[str] = []
    if request.groups:
        before, after = _composed(before_lines, after_lines, [str(o.input_line) for o in request.groups])
        config = graft(config, before, after, [_node(override.key_or_group) for override in request.groups])
        targets = sorted(set(_targets(after)))
    with config_loader() as loader:
        refuse_unknown_keys(request, _container(config), checker, loader, report)
    report.raise_errors()
    config = apply_changes(config, [_change(override) for override in request.values])
    found = check_config(config, named=request.named_keys(), checker=checker)
    found.raise_errors()
    chosen = {override.key_or_group: override.value() for override in request.groups}
    return Variation(config, chosen, targets, [str(warning) for warning in found.warnings])


def repeated_config(recorded: RunRecord, outputs: str) -> DictConfig:
    """A recorded config as it is, but for the places where it writes: those are the user's own."""
    from hft.config import compose
    from hft.experiments.saved_config import config_to_repeat

    return config_to_repeat(recorded, _container(compose([])), outputs)


def trusted_config(recorded: RunRecord, overrides: Sequence[str], trust: Sequence[str], outputs: str) -> DictConfig:
    """A recorded config, with overrides or as it is, once every target in it is trusted. Warnings go to stderr.

    Args:
        recorded: the run.
        overrides: as `hft train` takes them.
        trust: targets that the user trusts besides.
        outputs: where runs of the user land.

    Raises:
        ConfigError: an override that the check refuses, or a target that nobody trusts.
    """
    from hft.config import check_trusted

    if not overrides:
        return check_trusted(repeated_config(recorded, outputs), trust)
    varied = vary_config(recorded, overrides, outputs)
    for warning in varied.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    # The saved config holds no resolver; those that overrides bring are the user's own.
    return check_trusted(varied.config, [*trust, *varied.targets], resolvers=True)


def _lines(recorded: RunRecord, request: Request, loader: Any) -> tuple[list[str], list[str]]:
    """Group overrides of the recorded command line, without and with the new ones.

    The recorded choice of a group that is overridden now, or lies inside of one that is, no longer counts.
    """
    from hft.config.overrides import parse, sort_out
    from hft.config.report import CheckReport

    ignored = CheckReport()  # an option that no longer exists: the saved config has its content all the same
    old = sort_out(parse(recorded.overrides, loader, ignored), loader, ignored).groups
    # The record does not say where configs are searched, nor how Hydra works: what is composed here is the user's own.
    old = [override for override in old if not override.key_or_group.startswith("hydra")]
    new = [override.key_or_group for override in request.groups]
    before = [str(override.input_line) for override in old]
    kept = [
        str(override.input_line)
        for override in old
        if not any(override.key_or_group == group or override.key_or_group.startswith(f"{group}/") for group in new)
    ]
    return before, [*kept, *(str(override.input_line) for override in request.groups)]


def _composed(before: list[str], after: list[str], new: list[str]) -> tuple[Tree, Tree]:
    from hft.config import compose
    from hft.errors import ConfigError

    try:
        return _container(compose(before)), _container(compose(after))
    except ConfigError:
        # The recorded groups do not compose any more; the new one beside the defaults tells what it brings.
        return _container(compose([])), _container(compose(new))


def _change(override: Any) -> Any:
    from hft.experiments.saved_config import Change

    if override.is_delete():
        return Change(override.key_or_group, delete=True)
    return Change(override.key_or_group, override.value())


def _node(group: str) -> str:
    return group.replace("/", ".")


def _container(config: DictConfig) -> Tree:
    from omegaconf import OmegaConf

    container: Any = OmegaConf.to_container(config, resolve=False)
    return {str(key): value for key, value in container.items()}


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        for child in value.values():
            yield from _targets(child)
    elif isinstance(value, list):
        for child in value:
            yield from _targets(child)
