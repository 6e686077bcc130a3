"""Where a run keeps what the next one need not compute again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig, OmegaConf

from hft.stores import StoreFolder

_GIBIBYTE = 1 << 30


def store_folder(
    config: DictConfig,
    kind: Literal["data", "tokens", "activations"],
    say: Callable[[str], object],
    *,
    makes: bool = True,
) -> StoreFolder | None:
    """The folder of the stores, where the config wants that kind kept.

    Args:
        config: of the run; a recorded one from before there were stores keeps nothing.
        kind: of content.
        say: is told what goes wrong there. Nothing that does ends a run.
        makes: whether the folder may be made; what only looks at models leaves none where no run has.
    """
    node = OmegaConf.select(config, "stores")
    if node is None or node.folder is None or not node[kind]:
        return None
    if not makes and not Path(node.folder).is_dir():
        return None
    return StoreFolder(node.folder, int(node.disk_budget * _GIBIBYTE), say)
