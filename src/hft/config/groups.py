"""Groups of configs and their options, as Hydra's search path has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hydra.core.object_type import ObjectType

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


def group_options(
    loader: ConfigLoader, group: str, kind: ObjectType = ObjectType.CONFIG, *, searchpath: Sequence[str] = ()
) -> list[str]:
    """What `loader.get_group_options` gives, sorted; that one copies every config that Hydra holds for each question.

    Args:
        loader: of an initialised Hydra.
        group: `data/splitter`; empty for the top.
        kind: configs or, below the group, groups.
        searchpath: overrides that say where else to look.
    """
    if searchpath:
        return loader.get_group_options(group, kind, overrides=list(searchpath))
    there = [source for source in loader.get_sources() if source.is_group(group)]
    return sorted({option for source in there for option in source.list(group, kind)})


def all_groups(loader: ConfigLoader, parent: str = "") -> Iterator[str]:
    """Every group below a group, each before those in it."""
    for name in group_options(loader, parent, ObjectType.GROUP):
        group = f"{parent}/{name}" if parent else name
        yield group
        yield from all_groups(loader, group)
