"""Slips in the defaults list of a user's file, with what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hft.config.composed_files import ComposedFile, DefaultsEntry, groups_on_disk
from hft.config.renamed import renamed_group
from hft.config.report import Finding, listed, nearest


def defaults_findings(files: Sequence[ComposedFile]) -> list[Finding]:
    """What is wrong with the defaults lists of the user's files. Asked only where a request does not compose.

    Args:
        files: what the request composes, the primary config among them.
    """
    groups = groups_on_disk()
    primary = {entry.group for file in files if not file.group for entry in file.entries() if entry.group}
    return [finding for file in files if file.is_own and file.group for finding in _of_file(file, groups, primary)]


def _of_file(file: ComposedFile, groups: list[str], primary: Iterable[str]) -> Iterator[Finding]:
    after_override = False
    needs_package = False
    for entry in file.entries():
        after_override |= entry.override
        name = entry.group or ""
        if name.startswith("hydra"):
            continue
        where = f"{file.path}:{entry.line}"
        old = renamed_group(where, name, *entry.options[:1], in_file=True)
        if old is not None and name not in groups:
            yield old
        elif entry.override and name not in groups:
            close = nearest(name, groups)
            advice = f"did you mean override /{close}?" if close else None
            yield Finding(where, f"there is no group {name}", listed(groups), advice=advice)
        elif entry.override and entry.absolute and not entry.has_package and file.package:
            needs_package = True
        elif not entry.override and not file.package:
            yield from _without_override(where, entry, file, primary, after_override)
    if needs_package:
        yield Finding(
            f"{file.path}:1",
            "this file overrides groups of the whole config, but its package line is not there",
            advice="the first line must be: # @package _global_",
        )


def _without_override(
    where: str, entry: DefaultsEntry, file: ComposedFile, primary: Iterable[str], after_override: bool
) -> Iterator[Finding]:
    group = entry.group or ""
    relative = group.removeprefix(f"{file.group}/")
    known = next((name for name in (group, relative) if name in primary), None)
    if known is not None and not entry.has_package:
        option = entry.options[0] if entry.options else "null"
        found = f"the group {known} has an option already"
        yield Finding(where, found, advice=f"write: override /{known}: {option}")
    elif after_override:
        yield Finding(where, "this stands after a line with `override`", advice="move it before the overrides")
