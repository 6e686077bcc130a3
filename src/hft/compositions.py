"""Configs that differ in values alone are composed once: the others are copies with other values.

Hydra reads and parses all files anew for each config, which takes longer than all else that a trial does beside its
training. What comes out here equals what Hydra composes; where that is not certain, Hydra composes.
"""

from __future__ import annotations

import copy
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import JobRuntime
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode
from hydra.version import getbase
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

# Composed configs that are kept: those of the options of groups that a search tries in turn.
KEPT = 16
# Folders with more files than this are not looked through before each config.
MOST_FILES = 2000

_SEARCH_PATH = "hydra.searchpath"
# Hydra's resolver of the time, which it asks while it composes.
_NOW = "now"


@dataclass(frozen=True)
class _World:
    """All that a composition depends on beside what is asked.

    Args:
        files: path, time of change, size and inode of every file and folder where Hydra looks.
        store: names and nodes of Hydra's ConfigStore. The nodes are held, so that no other takes their identity.
        environment: of the process.
    """

    files: tuple[tuple[str, int, int, int], ...]
    store: tuple[tuple[str, ConfigNode], ...]
    environment: dict[str, str]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _World) or len(self.store) != len(other.store):
            return False
        is_same_store = all(a[0] == b[0] and a[1] is b[1] for a, b in zip(self.store, other.store, strict=True))
        return is_same_store and self.files == other.files and self.environment == other.environment

    __hash__ = None  # type: ignore[assignment]


@dataclass
class _Compositions:
    """Composed configs by what was asked, and the world as it was then."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    kept: OrderedDict[Hashable, tuple[_World, DictConfig]] = field(default_factory=OrderedDict)

    def copy_of(self, key: Hashable, world: _World) -> DictConfig | None:
        """A config of the caller's own; None where none is kept."""
        world_then, config = self.kept.get(key, (None, None))
        if config is None or world_then != world:
            return None
        self.kept.move_to_end(key)
        own = copy.deepcopy(config)
        times = OmegaConf.get_cache(own).get(_NOW, {})
        times.update({pattern: datetime.now().strftime(*pattern) for pattern in times})
        return own

    def keep(self, key: Hashable, world: _World, config: DictConfig) -> None:
        """Takes the config, which nobody else may hold, and drops the one that was used least lately.

        One that has resolved more than the time is not kept: what was resolved may have changed.
        """
        if set(OmegaConf.get_cache(config)) - {_NOW}:
            return
        self.kept[key] = (world, config)
        self.kept.move_to_end(key)
        while len(self.kept) > KEPT:
            self.kept.popitem(last=False)


# Of this process. The lock is held for a whole composition: copying a config is not safe beside other copies.
_compositions = _Compositions()


class ReusedCompositions(ConfigLoader):
    """A loader that gives what another gives.

    Args:
        loader: Hydra's own.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader: ConfigLoader = loader.loader if isinstance(loader, ReusedCompositions) else loader

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """As Hydra's, and raises as Hydra's."""
        rest = (run_mode, from_shell, validate_sweep_overrides)
        with _compositions.lock:
            config = self._composed_before(config_name, overrides, rest)
            return config if config is not None else self.loader.load_configuration(config_name, overrides, *rest)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """As Hydra's: the config of one job of a sweep, with the values that the sweep's config has resolved."""
        overrides: Any = OmegaConf.to_container(master_config.hydra.overrides.hydra)
        name = master_config.hydra.job.config_name
        config = self.load_configuration(name, overrides + sweep_overrides, RunMode.RUN)
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def get_search_path(self) -> ConfigSearchPath:
        """As Hydra's."""
        return self.loader.get_search_path()

    def get_sources(self) -> list[ConfigSource]:
        """As Hydra's."""
        return self.loader.get_sources()

    def list_groups(self, parent_name: str) -> list[str]:
        """As Hydra's."""
        return self.loader.list_groups(parent_name)

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        """As Hydra's."""
        return self.loader.get_group_options(group_name, results_filter, config_name, overrides)

    def compute_defaults_list(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> Any:
        """As Hydra's."""
        return self.loader.compute_defaults_list(config_name, overrides, run_mode)

    def _composed_before(
        self, config_name: str | None, overrides: list[str], rest: tuple[RunMode, bool, bool]
    ) -> DictConfig | None:
        """The config, from one that differs in values alone; None where Hydra has to compose it, or to refuse it."""
        sources = self.loader.get_sources()
        world = _world(sources)
        if world is None:
            return None
        parsed = OverridesParser.create().parse_overrides(overrides)
        if any(override.is_sweep_override() or override.key_or_group == _SEARCH_PATH for override in parsed):
            return None
        asked, values = _apart(parsed, sources)
        lines = [str(override.input_line) for override in asked]
        places = tuple((source.provider, source.full_path()) for source in sources)
        name = JobRuntime.instance().get("name")
        key = (config_name, tuple(lines), rest, places, os.getcwd(), name, getbase())
        config = _compositions.copy_of(key, world)
        if config is None:
            config = self.loader.load_configuration(config_name, lines, *rest)
            found = tuple((source.provider, f"{source.schema}://{source.path}") for source in _sources_of(config))
            if found == places:  # the main config has not named further places
                _compositions.keep(key, world, copy.deepcopy(config))
        return _with_values(config, parsed, values)


def _sources_of(config: DictConfig) -> Sequence[Any]:
    sources: Sequence[Any] = config.hydra.runtime.config_sources
    return sources


def _apart(parsed: Sequence[Override], sources: Sequence[ConfigSource]) -> tuple[list[Override], list[Override]]:
    """Overrides to compose with, and the rest in its order: new values of keys that are there.

    Values before one that adds or deletes a key are composed with it, since their order may matter.
    """
    is_group = [_is_group(override, sources) for override in parsed]
    others = [place for place, override in enumerate(parsed) if not is_group[place] and not _is_new_value(override)]
    last = max(others, default=-1)
    to_compose = [place for place in range(len(parsed)) if is_group[place] or place <= last]
    rest = [override for place, override in enumerate(parsed) if place not in to_compose]
    return [parsed[place] for place in to_compose], rest


def _is_group(override: Override, sources: Sequence[ConfigSource]) -> bool:
    """As Hydra tells options of groups from values."""
    if isinstance(override.value(), dict):
        return False
    return any(source.is_group(override.key_or_group) for source in sources)


def _is_new_value(override: Override) -> bool:
    is_plain = override.type == OverrideType.CHANGE and override.package is None
    return is_plain and not override.is_hydra_override()


def _with_values(config: DictConfig, parsed: Sequence[Override], values: Sequence[Override]) -> DictConfig | None:
    """The config with other values, and with all the overrides told as Hydra tells them; None where one is refused."""
    try:
        for override in values:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    except (OmegaConfBaseException, ValueError, TypeError, AssertionError):
        return None  # Hydra says why
    told, job = config.hydra.overrides, config.hydra.job
    task = [override for override in parsed if not override.is_hydra_override()]
    _refill(told.hydra, [str(override.input_line) for override in parsed if override.is_hydra_override()])
    _refill(told.task, [str(override.input_line) for override in task])
    style = job.config.override_dirname
    named = sorted(str(override.input_line) for override in task if override.key_or_group not in style.exclude_keys)
    job.override_dirname = re.sub("=", style.kv_sep, style.item_sep.join(named))
    return config


def _refill(node: ListConfig, lines: Sequence[str]) -> None:
    node.clear()
    for line in lines:
        node.append(line)


def _world(sources: Sequence[ConfigSource]) -> _World | None:
    """What Hydra would compose from now; None where that cannot be told, or is too much to look at."""
    stamps: list[tuple[str, int, int, int]] = []
    for source in sources:
        if source.scheme() == "structured":
            continue
        folder = _folder_of(source)
        if folder is None:
            return None
        for stamp in _stamps(folder):
            if len(stamps) == MOST_FILES:
                return None
            stamps.append(stamp)
    return _World(tuple(stamps), tuple(_stored(ConfigStore.instance().repo)), dict(os.environ))


def _folder_of(source: ConfigSource) -> str | None:
    """The folder that a source reads; None where it is none."""
    if source.scheme() == "file":
        return os.path.realpath(source.path)
    if source.scheme() != "pkg":
        return None
    if not source.path:
        return ""
    try:
        folder = files(source.path)
    except (ValueError, ModuleNotFoundError, TypeError):
        return None
    return str(folder) if isinstance(folder, Path) else None


def _stamps(folder: str) -> Iterator[tuple[str, int, int, int]]:
    """Of a folder, which need not exist, and of everything below it."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = entry.stat()
                yield entry.path, found.st_mtime_ns, found.st_size, found.st_ino
                if entry.is_dir():
                    yield from _stamps(entry.path)
    except OSError:
        yield folder, 0, 0, 0


def _stored(repo: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, ConfigNode]]:
    for name, found in repo.items():
        if isinstance(found, dict):
            yield from _stored(found, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", found
