"""The best trial as a Hydra config of the group `winner`: applied, it gives exactly what the trial ran with."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


# Keys that are config groups, or what tells whether a key (without `+` and `@package`) is one.
Groups = Collection[str] | Callable[[str], bool]


def winner_config(
    overrides: Sequence[str], groups: Groups, comments: Sequence[str] = (), without: Collection[str] = ()
) -> str:
    """The text of a config that stands for the overrides.

    Groups become overrides of the defaults list, values the body. Hydra's own settings (`hydra.*`, `hydra/*`) are
    left out: how trials were run is no part of what was found. What a config cannot express (`~key`, an item of a
    list) is said in a comment.

    Args:
        overrides: in Hydra's grammar, in the order in which they apply; of a key given twice the last counts.
        groups: keys that are config groups (`loss`, `data/splitter`, with or without `@package`), or what tells
            whether a key without `@package` is one.
        comments: lines to open with.
        without: groups and nodes that are left out with all that is in them, such as `search`: what the run needs
            no more.

    Raises:
        ConfigError: an override is not in Hydra's grammar.
    """
    from omegaconf import OmegaConf

    defaults: dict[str, Any] = {}
    body = OmegaConf.create({})
    left: list[str] = []
    is_group = groups if callable(groups) else _one_of(groups)
    left_out = {"hydra", *without}
    for override in _parsed(overrides):
        key = override.key_or_group
        if key.split("/")[0].split(".")[0] in left_out:
            continue
        if _is_group(override, is_group):
            entry = f"/{key}" + (f"@{override.package}" if override.package else "")
            # Nothing is chosen from a group that is deleted, and that is what null says.
            defaults[entry] = (override.is_add(), None if override.is_delete() else override.value())
        elif override.is_delete() or any(part.isdecimal() for part in key.split(".")):
            left.append(str(override.input_line))
        else:
            _set(body, key, override.value())
    return _text(defaults, body, left, comments)


def _parsed(overrides: Sequence[str]) -> list[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from hft.errors import ConfigError

    try:
        return list(OverridesParser.create().parse_overrides(list(overrides)))
    except HydraException as error:
        raise ConfigError(f"the sweep's overrides: {error}") from error


def _one_of(groups: Collection[str]) -> Callable[[str], bool]:
    """A group is one in whatever package it is used."""
    return {re.split("[@=]", group.lstrip("+~"))[0].strip() for group in groups}.__contains__


def _is_group(override: Override, is_group: Callable[[str], bool]) -> bool:
    """A slash stands in groups only; a mapping given to a group's key is merged into its values."""
    key = override.key_or_group
    return ("/" in key or is_group(key)) and not isinstance(override.value(), dict)


def _set(body: DictConfig, key: str, value: Any) -> None:
    """As Hydra applies an override: a mapping is merged into what stands there, anything else replaces it."""
    from omegaconf import OmegaConf

    parents = key.split(".")[:-1]
    for count in range(1, len(parents) + 1):
        parent = ".".join(parents[:count])
        if not isinstance(OmegaConf.select(body, parent, throw_on_missing=False), type(body)):
            OmegaConf.update(body, parent, {}, merge=False)
    OmegaConf.update(body, key, value, merge=True)


def _text(defaults: dict[str, tuple[bool, Any]], body: DictConfig, left: Sequence[str], comments: Sequence[str]) -> str:
    from omegaconf import OmegaConf

    # The package is read from the first comment lines, whatever stands between them.
    lines = ["# @package _global_", *(_comment(comment) for comment in comments)]
    for line in left:
        lines.append(_comment(f"A config cannot express this, add it to the command line: {line}"))
    parts = ["\n".join(lines) + "\n"]
    if defaults:
        entries = [{entry if added else f"override {entry}": value} for entry, (added, value) in defaults.items()]
        parts.append(OmegaConf.to_yaml(OmegaConf.create({"defaults": entries})))
    if body:
        parts.append(OmegaConf.to_yaml(body))
    return "".join(parts)


def _comment(text: str) -> str:
    return "# " + " ".join(text.split())
