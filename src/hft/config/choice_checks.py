"""Check values that a request may take, one at a time beside the rest of it: a sweep's choices, a space's values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import islice

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from hft.config.composition_failures import explain_failure
from hft.config.keys import set_value, set_values
from hft.config.overrides import Request, choices
from hft.config.report import CheckReport, Finding

# A usual request is checked in well under a second. What has more choices than this time allows is checked in part: its
# runs take minutes at least.
SECONDS_FOR_CHOICES = 1.5

# What Hydra, OmegaConf and the YAML reader raise for what a user wrote.
COMPOSITION_ERRORS = (
    HydraException,
    OmegaConfBaseException,
    YAMLError,
    ValueError,
    TypeError,
    OSError,
    AssertionError,
)


@dataclass
class ChoiceChecker:
    """Checks variants of one request.

    Args:
        request: the request, of each sweep its first choice.
        config: what it composes to.
        compose: composes overrides of groups.
        judge: checks a composed config.
        report: gets what is found.
        deadline: of the process's time; None: now and `SECONDS_FOR_CHOICES`.
    """

    request: Request
    config: DictConfig
    compose: Callable[[list[str]], DictConfig]
    judge: Callable[[DictConfig], CheckReport]
    report: CheckReport
    _variants: dict[str, tuple[DictConfig, CheckReport]] = field(default_factory=dict)
    deadline: float = field(default_factory=lambda: time.process_time() + SECONDS_FOR_CHOICES)

    @property
    def is_late(self) -> bool:
        return time.process_time() > self.deadline

    def check_sweeps(self, *, is_search: bool) -> None:
        """Check every choice of every sweep but its first, which the config has already.

        Args:
            is_search: whether an engine proposes: intervals are part of its space then, and checked with it.
        """
        for override in self.request.sweeps:
            if is_search and not override.is_discrete_sweep():
                continue
            if not override.is_discrete_sweep():
                self.report.errors.append(
                    Finding(
                        str(override.input_line),
                        "an enumeration takes no interval",
                        "choices (1,2,3) or a range: range(1,10,step=2)",
                        advice="an engine can search it: add search=none search.max_evals=20, or search=NAME",
                    )
                )
                continue
            for choice in islice(choices(override), 1, None):
                if self.is_late:
                    self.note_unchecked(str(override.input_line), str(choice.input_line))
                    return
                is_group = any(choice.get_key_element() == o.get_key_element() for o in self.request.groups)
                found = self.found_with([choice], []) if is_group else self.found_with([], [choice])
                if is_search and is_group:
                    found.errors = [e for e in found.errors if not self.is_of_space(e.where, choice)]
                self.report.add(found, suffix=f" (with {choice.input_line})")

    def is_of_space(self, key: str, group: Override) -> bool:
        """Whether a key that is swept too is one of a swept group's options, which not all of them need to have."""
        package = group.get_key_element().lstrip("+").partition("@")[0].replace("/", ".")
        return key.startswith(f"{package}.") and any(o.key_or_group == key for o in self.request.sweeps)

    def note_unchecked(self, where: str, first: str) -> None:
        """Say that no time is left for the values from one on."""
        self.report.notes.append(Finding(where, f"choices from {first} on are not checked"))

    def found_with(self, groups: Sequence[Override], values: Iterable[Override]) -> CheckReport:
        """What is wrong with the config that has some other options of groups, and then some other values."""
        found = CheckReport()
        blamed = next(iter([*groups, *values]), None)
        try:
            found.add(self.judge(self.config_with(groups, values, found)))
        except COMPOSITION_ERRORS as error:
            explain_failure(error, found, blamed)
        return found

    def config_with(self, groups: Sequence[Override], values: Iterable[Override], report: CheckReport) -> DictConfig:
        """The config with some other options of groups, and then some other values.

        Args:
            groups: options, each in place of the request's own.
            values: values to set.
            report: gets what of the request cannot be set any more.

        Raises:
            HydraException, OmegaConfBaseException, ...: one of `COMPOSITION_ERRORS`, for what does not compose.
        """
        others = [override for override in groups if not self._is_chosen(override)]
        config = deepcopy(self._composed(others, report) if others else self.config)
        for override in values:
            set_value(config, override)
        return config

    def _is_chosen(self, option: Override) -> bool:
        """Whether the request has this option of the group anyway."""
        return bool(self.config.hydra.runtime.choices.get(option.get_key_element()) == option.value())

    def _composed(self, groups: Sequence[Override], report: CheckReport) -> DictConfig:
        """Composing takes ten times as long as checking, so that nothing is composed twice."""
        lines = self.request.lines(groups)
        name = "\0".join(lines)
        if name not in self._variants:
            config = self.compose(lines)
            found = CheckReport()
            set_values(config, replace(self.request), found)
            self._variants[name] = (config, found)
        config, found = self._variants[name]
        report.add(found)
        return config
