"""Say why a config does not compose: from the attributes of what Hydra raised, and from the user's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from hft.config.composed_files import ComposedFile
from hft.config.defaults_advice import defaults_findings
from hft.config.report import CheckReport, Finding, first_line, listed, nearest
from hft.config.searchpath import user_folders
from hft.config.tree import join

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def explain_failure(
    error: Exception, report: CheckReport, override: Override | None = None, files: Sequence[ComposedFile] = ()
) -> None:
    """Report a failed composition.

    Args:
        error: what Hydra raised.
        report: gets at least one error that explains it, unless it holds one already.
        override: the override without which the composition works.
        files: what the request composes; of these the user's own are looked into.
    """
    composed = {file.path for file in files}
    in_files = [finding for path, finding in broken_files() if path in composed]
    in_files += defaults_findings(files)
    if in_files:
        report.errors.extend(finding for finding in in_files if finding not in report.errors)
        return
    finding = _explain(error, override)
    if finding not in report.errors:
        report.errors.append(finding)


def broken_files() -> list[tuple[Path, Finding]]:
    """Files of the user's own folders that are no YAML mapping, each with what is wrong at which line."""
    found = []
    for folder in user_folders():
        for path in sorted(folder.rglob("*.yaml")):
            try:
                content: Any = OmegaConf.load(path)
            except MarkedYAMLError as error:
                line = error.problem_mark.line + 1 if error.problem_mark else 1
                found.append((path, Finding(f"{path}:{line}", f"this is not YAML: {error.problem}")))
                continue
            except (YAMLError, UnicodeDecodeError, OSError, OmegaConfBaseException) as error:
                found.append((path, Finding(str(path), f"this cannot be read as YAML: {first_line(error)}")))
                continue
            if not isinstance(content, DictConfig):
                found.append((path, Finding(f"{path}:1", "found a list", "a mapping: KEY: VALUE lines")))
    return found


def unknown_in_hydra(key: str, config: DictConfig) -> Finding | None:
    """What is wrong with a key that a plus brought into one of Hydra's own nodes with a fixed set of keys.

    Args:
        key: `hydra.job.name`.
        config: composed, with Hydra's node.
    """
    node: Any = config
    prefix = ""
    for part in key.split("."):
        kind = OmegaConf.get_type(node)
        known = [field.name for field in fields(kind)] if is_dataclass(kind) else None
        if known is not None and part not in known:
            close = nearest(part, known)
            return Finding(join(prefix, part), "there is no such key", listed(known), close and join(prefix, close))
        prefix = join(prefix, part)
        if OmegaConf.is_missing(node, part) or OmegaConf.is_interpolation(node, part):
            return None
        node = node[part]
        if not isinstance(node, DictConfig):
            return None
    return None


def _explain(error: Exception, override: Override | None) -> Finding:
    where = str(override.input_line) if override is not None else "config"
    if isinstance(error, MissingConfigException):
        missing = str(error.missing_cfg_file)
        group, _, option = missing.rpartition("/")
        options = [str(o) for o in error.options or ()]
        close = nearest(option, options)
        return Finding(
            where if override is not None else missing,
            f"there is no config {missing}",
            listed(options),
            close and (f"{group}/{close}" if group else close),
        )
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return Finding(f"{error.problem_mark.name}:{error.problem_mark.line + 1}", f"this is not YAML: {error.problem}")
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        key = cause.full_key if isinstance(cause.full_key, str) and cause.full_key else where
        return Finding(key, first_line(cause))
    if override is not None and override.key_or_group and "/" in override.key_or_group:
        return Finding(where, f"{override.key_or_group} is not part of this config, or cannot be changed in it")
    return Finding(where, first_line(error))
