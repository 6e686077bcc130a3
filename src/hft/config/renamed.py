"""Groups that have another name than in earlier configs: what to write now."""

from __future__ import annotations

from collections.abc import Mapping

from hft.config.report import Finding

# Old name to new name, and what its options are called there where that changed.
_GROUPS: Mapping[str, tuple[str, Mapping[str, str]]] = {"confidence": ("data/clicks", {"constant": "naive"})}


def renamed_group(where: str, name: str, option: object = None, *, in_file: bool = False) -> Finding | None:
    """What to say of a group's old name; None where the name is no old one.

    Args:
        where: the override as it was typed, the key, or file:line.
        name: group or dotted key.
        option: what was chosen, where known.
        in_file: whether it stands in a file's defaults list.
    """
    old, _, key = name.lstrip("+~").replace("/", ".").partition(".")
    if old not in _GROUPS:
        return None
    group, options = _GROUPS[old]
    if key:
        dotted = f"{group.replace('/', '.')}.{key}"
        return Finding(where, f"the group {old} is now called {group}", advice=f"write {dotted}")
    chosen = options.get(str(option), str(option)) if isinstance(option, str) else "OPTION"
    advice = f"write: override /{group}: {chosen}" if in_file else f"write {group}={chosen}"
    return Finding(where, f"the group {old} is now called {group}", advice=advice)
