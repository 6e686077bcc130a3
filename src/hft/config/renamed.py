"""Groups and arguments of earlier configs that are called otherwise or are no more: what to write now."""

from __future__ import annotations

from collections.abc import Mapping

from hft.config.report import Finding

# Old name to new name, and what its options are called there where that changed.
_GROUPS: Mapping[str, tuple[str, Mapping[str, str]]] = {"confidence": ("data/clicks", {"constant": "naive"})}

# Arguments of hft's own classes that are no more: what was found, what to do.
_GONE = {
    "events_as": (
        "entries of a plain list of events are ids always; weights have a field of their own",
        "leave it out; for a weight a result write data.source.fields.weights=NAME_OF_THE_FIELD",
    )
}


def gone_argument(where: str, name: str) -> Finding | None:
    """What to say of an argument that is no more; None where the name is no such one."""
    return Finding(where, _GONE[name][0], advice=_GONE[name][1]) if name in _GONE else None


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
