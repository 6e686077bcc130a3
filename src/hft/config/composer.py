"""Compose a config in Python, with the search path and the errors that the command line has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from hft.config.searchpath import CONFIG_MODULE, config_dir_first

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

VERSION_BASE = "1.3"
CONFIG_NAME = "train"


def compose(
    overrides: Sequence[str] = (), *, config_dir: str | Path | None = None, config_name: str = CONFIG_NAME
) -> DictConfig:
    """The config that `hft train OVERRIDES` would run, without Hydra's own node.

    Works in notebooks and inside another running Hydra app too: what that app has initialised is put back.

    Args:
        overrides: as on the command line: `["loss=infonce", "params.items_lr=3e-5"]`.
        config_dir: a folder of configs that is searched first.
        config_name: the primary config.

    Raises:
        ConfigError: the overrides, or the files they name, do not compose. Everything wrong is in one message.
    """
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    with config_loader(config_dir):
        try:
            config: DictConfig = hydra_compose(config_name=config_name, overrides=list(overrides))
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            from hft.config.preflight import check

            report = check(overrides, config_dir=config_dir, config_name=config_name, multirun=False)
            report.raise_errors(otherwise=error)
            raise
    return config


@contextmanager
def config_loader(config_dir: str | Path | None = None) -> Iterator[ConfigLoader]:
    """Hydra initialised for hft within the block; whatever was initialised before is put back after it.

    Args:
        config_dir: a folder of configs that is searched first; None leaves the one that is set, if any.

    Raises:
        ConfigError: `config_dir` is no folder, or a foreign train.yaml is in the way.
    """
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import JobRuntime
    from hydra.version import VersionBase

    from hft.compositions import ReusedCompositions

    outer_hydra = GlobalHydra.instance().hydra
    outer_base = VersionBase.instance().version_base
    outer_name = JobRuntime.instance().get("name")
    GlobalHydra.instance().clear()
    try:
        folder: AbstractContextManager[None] = nullcontext() if config_dir is None else config_dir_first(config_dir)
        with folder, initialize_config_module(CONFIG_MODULE, "train", VERSION_BASE):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            hydra.config_loader = ReusedCompositions(hydra.config_loader)
            yield hydra.config_loader
    finally:
        GlobalHydra.instance().hydra = outer_hydra
        VersionBase.instance().version_base = outer_base
        JobRuntime.instance().set("name", outer_name)
