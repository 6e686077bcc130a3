"""`hft train --help`: the text of conf/hydra/help/hft.yaml with the groups that are found. Nothing is composed."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

WIDTH = 110


def train_help() -> str:
    """The help text."""
    import yaml

    from hft.config.composer import config_loader
    from hft.config.searchpath import packaged_folder

    path = packaged_folder() / "hydra" / "help" / "hft.yaml"
    template = yaml.safe_load(path.read_text(encoding="utf-8"))["template"]
    with config_loader() as loader:
        groups = "\n".join(_lines_of_groups(loader))
    return Template(template).safe_substitute(APP_CONFIG_GROUPS=groups)


def _lines_of_groups(loader: ConfigLoader) -> Iterator[str]:
    import textwrap

    for group, options in _groups(loader):
        yield from textwrap.wrap(f"{group}: {', '.join(options)}", WIDTH, initial_indent="  ", subsequent_indent="    ")


def _groups(loader: ConfigLoader) -> Iterator[tuple[str, list[str]]]:
    from hft.config.groups import all_groups, group_options

    for group in all_groups(loader):
        if group.split("/")[0] != "hydra" and (options := group_options(loader, group)):
            yield group, options
