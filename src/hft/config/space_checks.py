"""Check a search space against the config that it varies: its keys, its groups' options, and each kind of value.

The space is parsed by hft.search itself, whose light parts this room may import: what the check accepts is what the
search accepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from hft.config.choice_checks import COMPOSITION_ERRORS, ChoiceChecker
from hft.config.keys import refuse_unknown_keys
from hft.config.overrides import Request, sort_out
from hft.config.report import CheckReport, Finding
from hft.config.space_contexts import Context, Entry, by_context, conditions, group_of, in_words, sample, split
from hft.config.space_reading import SPACE
from hft.config.targets import TargetChecker
from hft.config.tree import lookup
from hft.errors import ConfigError
from hft.search import Parameter, SearchSpace, Uniform, override_lines

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


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
        for context in by_context(rest, entries):
            self._check_values(context, entries)

    def _entry(self, parameter: Parameter) -> Entry | None:
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
            return Entry(parameter, tuple(parsed), is_group=False)
        request.groups += sort_out(parsed[1:], self._loader, found).groups
        self._tell(found, parameter.key, "")
        return Entry(parameter, tuple(request.groups), is_group=True) if request.groups else None

    def _check_options(self, entry: Entry, entries: Mapping[str, Entry]) -> None:
        for option in entry.values:
            if self._is_late(entry, option):
                return
            for around in conditions(entry.parameter, entries):
                groups, values = split([*around, option], entries)
                self._tell_of_group(self._checker.found_with(groups, values), in_words([*around, option]))

    def _check_values(self, context: Context, entries: Mapping[str, Entry]) -> None:
        broken = CheckReport()
        try:
            config = self._checker.config_with(context.groups, context.values, broken)
        except COMPOSITION_ERRORS:
            return  # told with the group's option
        # What the command line sweeps is a member itself, and told below.
        if any(error not in self._known and error.where not in self._typed for error in broken.errors):
            return  # likewise
        plain = OmegaConf.to_container(config, resolve=False)
        there: list[Entry] = []
        for entry in context.members:
            found = CheckReport()
            request = Request(values=list(entry.values[:1]))
            refuse_unknown_keys(request, plain, self._targets, self._loader, found)
            if not found.errors:
                there.append(entry)
            else:
                found.errors = [self._with_a_condition(error, entry, entries) for error in found.errors]
                self._tell(found, entry.parameter.key, in_words(context.around))
        for together in zip_longest(*(entry.values for entry in there)):
            if self._is_late(there[0], together[0] or there[0].values[-1]):
                return
            self._check_together(context, [o for o in together if o is not None], there)

    def _check_together(self, context: Context, together: Sequence[Override], entries: Sequence[Entry]) -> None:
        """Check a value of each parameter in one go; only where something is wrong, one after the other."""
        if set(self._checker.found_with(context.groups, [*context.values, *together]).errors) <= self._known:
            return
        for override in together:
            entry = next(e for e in entries if override in e.values)
            found = self._checker.found_with(context.groups, [*context.values, override])
            if override is entry.between:
                self._tell_of_between(found, entry, context)
            else:
                self._tell(found, entry.parameter.key, in_words([*context.around, override]))

    def _tell_of_between(self, found: CheckReport, entry: Entry, context: Context) -> None:
        """Report a value that stands for all of a range, by the range's ends; nothing where an end is told already."""
        ends = entry.values[:2]
        if any(
            set(self._checker.found_with(context.groups, [*context.values, end]).errors) - self._known for end in ends
        ):
            return
        low, high = (end.value() for end in ends)
        for error in found.errors:
            if error not in self._known:
                advice = error.advice
                if type(entry.parameter.spec) is Uniform and "integer" in (error.allowed or ""):
                    advice = "for whole numbers write integer: true, on the command line int(interval(LOW,HIGH))"
                told = replace(error, found=f"found values between {low} and {high}", advice=advice)
                self._tell(CheckReport(errors=[told]), entry.parameter.key, in_words(context.around))

    def _with_a_condition(self, error: Finding, entry: Entry, entries: Mapping[str, Entry]) -> Finding:
        """Of a key that only some options of a searched group have: advice to search it only with these."""
        key = entry.parameter.key.lstrip("+")
        group = group_of(key, entries)
        if group is None:
            return error
        having = [str(o.value()) for o in group.values if self._has(key, o)]
        if not having:
            return error
        options = having[0] if len(having) == 1 else f"[{', '.join(having)}]"
        advice = f"only some options have it: add when: {{{group.parameter.key}: {options}}}"
        if key in self._typed:
            advice += " to it in a space of your own (./conf/search/NAME.yaml); a command line has no conditions"
        return replace(error, nearest=None, advice=advice)

    def _has(self, key: str, option: Override) -> bool:
        try:
            config = self._checker.config_with([option], [], CheckReport())
            lookup(OmegaConf.to_container(config, resolve=False), key)
        except (KeyError, *COMPOSITION_ERRORS):
            return False
        return True

    def _tell_of_group(self, found: CheckReport, suffix: str) -> None:
        """Report new errors where they are: the option's own values are no part of the space."""
        new = [replace(error, found=error.found + suffix) for error in found.errors if error not in self._known]
        self._report.errors.extend(error for error in new if error not in self._report.errors)

    def _is_late(self, entry: Entry, first: Override) -> bool:
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
