"""The pre-flight check: everything that the config alone can tell, in one report, before anything heavy is imported."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose as hydra_compose
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from pydantic import ValidationError

from hft.config.choice_checks import COMPOSITION_ERRORS, ChoiceChecker
from hft.config.composed_files import ComposedFile, composed_files, with_file
from hft.config.composer import CONFIG_NAME, config_loader
from hft.config.composition_failures import broken_files, explain_failure, unknown_in_hydra
from hft.config.crosschecks import cross_check
from hft.config.keys import refuse_unknown_keys, set_values
from hft.config.outputs import check_outputs, run_folder
from hft.config.overrides import Request, parse, sort_out
from hft.config.renamed import renamed_group
from hft.config.report import CheckReport, Finding
from hft.config.schema import TrainConfig
from hft.config.search_checks import check_search, searches
from hft.config.searchpath import packaged_folder, shadowed_files
from hft.config.secrets import has_a_password, texts_in
from hft.config.targets import TargetChecker
from hft.config.tree import UNKNOWN, ConfigTree, plain_tree
from hft.config.validation import findings_of
from hft.errors import ConfigError
from hft.redaction import has_password

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

_OF_A_SEARCH = ("search.", "hydra.sweep.", "hydra.sweeper.", "hydra.launcher.")


def check(
    overrides: Sequence[str] = (),
    *,
    config_dir: str | Path | None = None,
    config_name: str = CONFIG_NAME,
    multirun: bool | None = True,
) -> CheckReport:
    """Check a request as `hft train` would get it.

    Args:
        overrides: as on the command line; of a sweep every choice is checked.
        config_dir: a folder of configs that is searched first.
        config_name: the primary config.
        multirun: whether sweeps are allowed; None allows them with a warning.
    """
    report = CheckReport()
    try:
        with config_loader(config_dir) as loader:
            _Check(loader, config_name, multirun, report).run(overrides)
            report.notes.extend(
                Finding(str(path), f"takes the place of the packaged {name}") for path, name in shadowed_files()
            )
    except ConfigError as error:
        report.errors.append(Finding("config", str(error)))
    return report


def check_config(config: DictConfig, *, named: Iterable[str] = (), checker: TargetChecker | None = None) -> CheckReport:
    """Check a composed config.

    Args:
        config: without Hydra's own node, or with it.
        named: dotted keys that the user named, for warnings of those that have no effect.
        checker: reads targets; one is made where none is given.
    """
    report = CheckReport()
    checker = checker or TargetChecker()
    tree = plain_tree(without_hydra(config))
    report.errors.extend(tree.problems)
    _check_schema(tree, report)
    checker.check(tree, report)
    cross_check(tree, checker, named, _shipped_defaults(), report)
    report.errors = _without_echoes(report.errors, tree)
    return report


def require_valid(config: DictConfig) -> None:
    """Refuse a composed config that the check finds wrong.

    Raises:
        CheckFailedError: a ConfigError whose message is the whole report, and whose `report` is its parts.
    """
    check_config(config).raise_errors()


def without_hydra(config: DictConfig) -> DictConfig:
    """The config without Hydra's own node."""
    if "hydra" not in config:
        return config
    own = config.copy()
    with open_dict(own):
        del own["hydra"]
    return own


class _Check:
    """One check of one request, inside of an initialised Hydra."""

    def __init__(self, loader: ConfigLoader, config_name: str, multirun: bool | None, report: CheckReport) -> None:
        self._loader = loader
        self._config_name = config_name
        self._multirun = multirun
        self._report = report
        self._checker = TargetChecker()

    def run(self, overrides: Sequence[str]) -> None:
        secret = [line for line in overrides if has_password(line)]
        if secret:  # before anything repeats them
            self._report.errors += [has_a_password(line.partition("=")[0]) for line in secret]
            return
        parsed = parse(overrides, self._loader, self._report)
        request = sort_out(parsed, self._loader, self._report)
        typed = request.options()
        config = self._composed(request)
        kept = {str(override.input_line) for override in [*request.groups, *request.values]}
        request.refused = [line for line in overrides if line not in kept]
        files = self._files(typed, config)
        self._report_broken_files(files)
        if config is None:
            return
        if not self._multirun and config.hydra.mode != RunMode.MULTIRUN:
            self._refuse_sweeps(request)
            self._refuse_a_search(request, overrides)
        named = request.named_keys()
        for override in request.values:
            if override.is_hydra_override():
                self._add_error(unknown_in_hydra(override.key_or_group, config))
        self._report.add(check_config(config, named=named, checker=self._checker))
        of_hydra = OmegaConf.to_container(config.hydra, resolve=False)
        of_hydra = {key: value for key, value in of_hydra.items() if key != "runtime"}  # type: ignore[union-attr]
        self._report.errors += [has_a_password(key) for key, text in texts_in("hydra", of_hydra) if has_password(text)]
        self._check_variants(request, config, named)
        self._report.errors.extend(check_outputs(config))
        self._report.run_folder = run_folder(config)
        self._report.errors = [with_file(f, files, named) for f in self._report.errors]

    def _check_variants(self, request: Request, config: DictConfig, named: set[str]) -> None:
        """Check what a sweep's choices, or the values of a search, make of the config."""

        def judge(changed: DictConfig) -> CheckReport:
            return check_config(changed, named=named, checker=self._checker)

        is_search = searches(request)
        checker = ChoiceChecker(request, config, self._compose, judge, self._report)
        checker.check_sweeps(is_search=is_search)
        check_search(checker, self._loader, self._checker, multirun=self._multirun)

    def _report_broken_files(self, files: list[ComposedFile]) -> None:
        """Refuse the files of the request that are no YAML mapping, and warn of the user's others."""
        composed = {file.path for file in files}
        told = {finding.where for finding in self._report.errors}
        for path, found in broken_files():
            if found.where not in told and path in composed:
                self._report.errors.append(found)
            elif found.where not in told:
                self._report.warnings.append(replace(found, advice="this request does not read the file"))

    def _files(self, typed: dict[str, list[str]], config: DictConfig | None) -> list[ComposedFile]:
        """What the request composes: as Hydra chose where it did, else as the files and the overrides say."""
        if config is None:
            return composed_files(self._config_name, typed)
        chosen = {str(group): [str(o)] for group, o in config.hydra.runtime.choices.items() if isinstance(o, str)}
        return composed_files(self._config_name, {**chosen, **typed})

    def _composed(self, request: Request) -> DictConfig | None:
        """The config with every override that can be applied; what cannot is reported."""
        config = self._with_groups(request)
        if config is not None and request.values:
            values = OmegaConf.to_container(config, resolve=False)
            refuse_unknown_keys(request, values, self._checker, self._loader, self._report)
            set_values(config, request, self._report)
        return config

    def _with_groups(self, request: Request) -> DictConfig | None:
        """The config with the options of groups, leaving out those that do not go into it."""
        try:
            return self._compose(request.lines())
        except COMPOSITION_ERRORS as error:
            failure: Exception = error
        kept: list[Override] = []
        for override in request.groups:
            try:
                self._compose(Request(groups=[*kept, override]).lines())
            except COMPOSITION_ERRORS as error:
                if not self._refuse_needless_plus(kept, override):
                    files = self._files(Request(groups=[*kept, override]).options(), None)
                    explain_failure(error, self._report, override, files)
            else:
                kept.append(override)
        request.groups = kept
        try:
            return self._compose(request.lines())
        except COMPOSITION_ERRORS:
            explain_failure(failure, self._report, files=self._files(request.options(), None))
            return None

    def _refuse_needless_plus(self, others: list[Override], override: Override) -> bool:
        """Whether all that is wrong with a group's option is the plus before it."""
        if not override.is_add():
            return False
        line = str(override.input_line)
        try:
            self._compose([*Request(groups=others).lines(), line.removeprefix("+")])
        except COMPOSITION_ERRORS:
            return False
        advice = f"write it without the plus: {line.removeprefix('+')}"
        self._report.errors.append(Finding(line, "the group is part of the config already", advice=advice))
        return True

    def _compose(self, lines: list[str]) -> DictConfig:
        return hydra_compose(config_name=self._config_name, overrides=lines, return_hydra_config=True)

    def _add_error(self, finding: Finding | None) -> None:
        if finding is not None:
            self._report.errors.append(finding)

    def _refuse_sweeps(self, request: Request) -> None:
        findings = self._report.warnings if self._multirun is None else self._report.errors
        for override in request.sweeps:
            line = str(override.input_line)
            key, _, value = line.partition("=")
            advice = f"add -m to run each; for a list write {key}=[{value}]; for a string {key}='\"{value}\"'"
            if not override.is_discrete_sweep():
                advice = "add -m, and search=none search.max_evals=20 or search=NAME, to search them"
            findings.append(Finding(line, "several values for one run", advice=advice))

    def _refuse_a_search(self, request: Request, overrides: Sequence[str]) -> None:
        """Refuse what chooses a search, its sweeper or its launcher for a single run, which would pass it over."""
        chosen = [str(o.input_line) for o in [*request.groups, *request.values] if _is_of_a_search(o)]
        if chosen:
            findings = self._report.warnings if self._multirun is None else self._report.errors
            advice = f"add -m: {shlex.join(['hft', 'train', '-m', *overrides])}"
            found = "chooses how to search, but without -m one run is trained and nothing searched"
            findings.append(Finding(" ".join(chosen), found, advice=advice))


def _is_of_a_search(override: Override) -> bool:
    key = override.key_or_group
    if key == "search":
        return override.value() != "none"
    return key in ("hydra/sweeper", "hydra/launcher") or key.startswith(_OF_A_SEARCH)


def _check_schema(tree: ConfigTree, report: CheckReport) -> None:
    try:
        TrainConfig.model_validate(tree.values)
    except ValidationError as error:
        for finding in findings_of(error, "", tree.values, TrainConfig):
            if not _is_unknown(tree.values, finding.where):
                report.errors.append(renamed_group(finding.where, finding.where) or finding)


def _without_echoes(errors: list[Finding], tree: ConfigTree) -> list[Finding]:
    """Errors, without those of values that are only taken from another key with an error."""
    wrong = {finding.where for finding in errors}
    return [f for f in errors if not any(tree.references.get(f.where) == "${" + key + "}" for key in wrong)]


def _is_unknown(values: Any, key: str) -> bool:
    for part in key.split("."):
        if isinstance(values, dict) and part in values:
            values = values[part]
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            return False
    return values is UNKNOWN


def _shipped_defaults() -> dict[str, Any]:
    """Values of the packaged train.yaml, as they stand there."""
    path = packaged_folder() / "train.yaml"
    return _values_of(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=1)
def _values_of(path: Path, mtime: int) -> dict[str, Any]:
    """The values of a file. Nobody may change them: they are read once a process, as long as the file stays."""
    values = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return {str(k): v for k, v in values.items()} if isinstance(values, dict) else {}
