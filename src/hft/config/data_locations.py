"""Where data lies: files that are there, and no password in the config, for a config is written down in every run."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hft.config.report import CheckReport, Finding
from hft.config.secrets import check_secrets, has_a_password, texts_in
from hft.config.targets import TargetChecker
from hft.config.tree import ConfigTree, join, targets
from hft.redaction import has_password

_SOURCE = "data.source"
_WILD = re.compile(r"[*?\[]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What a source of hft's own says of itself, as literals: which arguments are locations of files, which are names of
# variables of the environment.
_LOCATIONS, _VARIABLES = "LOCATIONS", "VARIABLES"


def check_data_locations(tree: ConfigTree, checker: TargetChecker, report: CheckReport) -> None:
    """Refuse local files that are not there, variables that are not set, and passwords anywhere in the config."""
    secret = check_secrets(tree, report)
    # Of a source not even what a variable gives: its config is hashed, compared and shown.
    resolved = {key for key, value in texts_in(_SOURCE, tree.get(_SOURCE)) if has_password(value)} - secret
    report.errors = [finding for finding in report.errors if finding.where not in resolved]
    report.errors += [has_a_password(key) for key in sorted(resolved)]
    secret |= resolved
    for key, node in targets(tree):
        if not (key == _SOURCE or key.startswith(f"{_SOURCE}.")):
            continue
        for name in checker.constant_of(node, _LOCATIONS) or ():
            where = join(key, name)
            if where not in secret and isinstance(node.get(name), str):
                _check_location(where, node[name], report)
        for name in checker.constant_of(node, _VARIABLES) or ():
            where = join(key, name)
            if where not in secret and isinstance(node.get(name), str):
                _check_variable(where, node[name], report)


def _check_location(where: str, value: str, report: CheckReport) -> None:
    if "://" in value or _WILD.search(value) or Path(value).expanduser().exists():
        return
    report.errors.append(Finding(where, f"there is no file {value}", "the path of a file that exists"))


def _check_variable(where: str, value: str, report: CheckReport) -> None:
    if not _VARIABLE.fullmatch(value):
        # It may be the secret itself.
        report.errors.append(Finding(where, "is no name of a variable", "letters, digits and _: HFT_DATABASE_URL"))
    elif not os.environ.get(value):
        advice = f"set it, for example: export {value}=postgresql://user:password@host/database"
        report.errors.append(Finding(where, f"the environment has no variable {value}", advice=advice))
