"""Where a run keeps what the next one need not compute again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from omegaconf import DictConfig, OmegaConf

from hft.stores import StoreFolder

_GIBIBYTE = 1 << 30


def store_folder(
    config: DictConfig, kind: Literal["data", "tokens", "activations"], say: Callable[[str], object]
) -> StoreFolder | None:
    """The folder of the stores, where the config wants that kind kept.

    Args:
        config: of the run; a recorded one from before there were stores keeps nothing.
        kind: of content.
        say: is told what goes wrong there. Nothing that does ends a run.
    """
    node = OmegaConf.select(config, "stores")
    if node is None or node.folder is None or not node[kind]:
        return None
    return StoreFolder(node.folder, int(node.disk_budget * _GIBIBYTE), say)
