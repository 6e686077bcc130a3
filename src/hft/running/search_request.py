"""What a `hft train -m` asks for: a search with its space and settings, or an enumeration of the command line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from hft.config.groups import group_options
from hft.errors import ConfigError
from hft.running.trial import validation_name
from hft.search import SearchSettings, SearchSpace, parameter_of
from hft.search.settings import EngineName
from hft.search.sweeper.sweeper_settings import search_settings

# Keys under `search` that say how long and how wide a search goes on, not what is searched: a sweep that is started
# again may change them.
BUDGET = ("max_evals", "timeout", "max_failures", "n_parallel", "keep_models")

_NOT_SETTINGS = ("space", "folds", "seeds", "reuse", "n_top_runs")


@dataclass(frozen=True)
class SearchRequest:
    """A search, as it was asked for.

    Args:
        name: option of the group `search`.
        space: with the command line's entries, without keys that are fixed or have no effect.
        settings: of the search.
        fixed: overrides that every trial gets.
        swept: sweep overrides of the command line, as they were typed.
        groups: keys among those of `space` and `fixed` that are config groups.
        reuse: how the past is used: none, replay, warm_start.
        n_top_runs: of the parent's iteration, for `reuse`.
        notes: what the user should know of the request.
    """

    name: str
    space: SearchSpace
    settings: SearchSettings
    fixed: tuple[str, ...]
    swept: tuple[str, ...]
    groups: frozenset[str]
    reuse: str
    n_top_runs: int
    notes: tuple[str, ...]

    def identity(self, engine: str) -> str:
        """Eight hexadecimal digits: the same for the same command, whatever its budget."""
        told = json.dumps([engine, self.name, sorted(self.fixed), sorted(self.swept)])
        return hashlib.sha256(told.encode()).hexdigest()[:8]


def is_search(parsed: Sequence[Override]) -> bool:
    """Whether `-m` with these overrides searches: a search is named, or nothing else is swept."""
    return any(o.key_or_group == "search" for o in parsed) or not any(o.is_sweep_override() for o in parsed)


def search_request(
    config: DictConfig, parsed: Sequence[Override], loader: ConfigLoader, engine: EngineName
) -> SearchRequest:
    """Reads a search from the composed config and the command line.

    Args:
        config: composed with all overrides that are no sweeps; with Hydra's node.
        parsed: the overrides of the command line, sweeps among them.
        loader: Hydra's, to tell groups from values.
        engine: who is to search.

    Raises:
        ConfigError: the space or a setting is wrong, or the space is empty.
    """
    node: Any = OmegaConf.to_container(config.search, resolve=True)
    sweeps = [override for override in parsed if override.is_sweep_override()]
    space = SearchSpace.parse(node.get("space") or {})
    seeds = [override for override in sweeps if override.get_key_element() == "seed"]
    space = space.with_parameters(parameter_of(override) for override in sweeps if override not in seeds)
    plain = [override for override in parsed if not override.is_sweep_override()]
    space, notes = _without_fixed(space, plain)
    space, more = _without_idle(space, config, loader)
    if not len(space) and node.get("reuse") != "replay":
        raise ConfigError(
            "search.space: is empty, so that there is nothing to search. Name a space (hft train -m search=initial; "
            "options of the group search), or list values (hft train -m loss=infonce,prob_margin)."
        )
    fixed = [_line(override) for override in plain if not _is_budget(override)]
    fixed += [f"search.seeds=[{','.join(_values(override))}]" for override in seeds]
    return SearchRequest(
        name=str(config.hydra.runtime.choices.get("search")),
        space=space,
        settings=_settings(node, engine),
        fixed=tuple(fixed),
        swept=tuple(_line(override) for override in sweeps),
        groups=group_keys(plain, loader) | {key for key in _keys(space) if _is_group(key, loader)},
        reuse=str(node.get("reuse") or "none"),
        n_top_runs=int(node.get("n_top_runs") or 0),
        notes=(*notes, *more),
    )


def _settings(node: dict[str, Any], engine: EngineName) -> SearchSettings:
    options = {key: value for key, value in node.items() if key not in _NOT_SETTINGS}
    metrics = node["metric"] if isinstance(node["metric"], list) else [node["metric"]]
    options["metric"] = [validation_name(name) for name in metrics]
    return search_settings(options, engine, where="search")


def _without_fixed(space: SearchSpace, plain: list[Override]) -> tuple[SearchSpace, list[str]]:
    """A value given on the command line is not searched; what is conditional on it stays where it meets the value."""
    given = {override.key_or_group: override for override in plain}
    searched = {key.lstrip("+"): key for key in _keys(space)}
    fixed = {searched[key]: override.value() for key, override in given.items() if key in searched}
    notes = [f"{_line(given[key.lstrip('+')])} is given, so the search leaves it as it is" for key in fixed]
    return space.with_fixed(fixed), notes


def _without_idle(space: SearchSpace, config: DictConfig, loader: ConfigLoader) -> tuple[SearchSpace, list[str]]:
    """What has no effect beside the rest of the config is not searched, unless a searched group may change that."""
    from hft.config import ineffective_keys

    if any(_is_group(key, loader) for key in _keys(space)):
        return space, []
    idle = {key: why for key, why in ineffective_keys(config, _keys(space)).items() if key in space}
    return space.without(idle), [f"{key} is not searched: {why}" for key, why in idle.items()]


def group_keys(overrides: Sequence[Override], loader: ConfigLoader) -> frozenset[str]:
    """Keys of overrides that are config groups."""
    return frozenset(o.key_or_group for o in overrides if _is_group(o.key_or_group, loader))


def _keys(space: SearchSpace) -> list[str]:
    return [parameter.key for parameter in space.parameters]


def _is_group(key: str, loader: ConfigLoader) -> bool:
    name = key.lstrip("+~").partition("@")[0]
    return any(group_options(loader, name, kind) for kind in (ObjectType.CONFIG, ObjectType.GROUP))


def _is_budget(override: Override) -> bool:
    return override.key_or_group in {f"search.{name}" for name in BUDGET}


def _values(override: Override) -> list[str]:
    return list(override.sweep_string_iterator())


def _line(override: Override) -> str:
    return str(override.input_line)
