"""A config again from its run record: as it was, or varied from there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError
from hft.experiments.old_words import in_todays_words
from hft.experiments.plain import flatten, same
from hft.experiments.run_record import RunRecord

if TYPE_CHECKING:
    from omegaconf import DictConfig

# A reference to another key. Whatever else stands in `${}` may be a resolver, or lead to one: `${oc.env:HOME}`,
# `${now:%H}`, `${${a}:b}`.
_REFERENCE_TO_A_KEY = re.compile(r"\$\{([\w.\[\]-]+)\}")

Tree = dict[str, Any]
_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """One value override.

    Args:
        key: dotted.
        value: the new value; a mapping is merged into the one that is there.
        delete: take the key away instead.
    """

    key: str
    value: Any = None
    delete: bool = False


def saved_config(record: RunRecord) -> DictConfig:
    """The run's config with its interpolations, so that what follows a key goes on following it.

    What a resolver had answered (an environment variable, the time) is fixed to the recorded answer: what it answers
    here and today is another thing, and none of the business of a record from elsewhere. Where the two configs of
    the record do not agree with each other, the resolved one counts: each reference must lead to what was recorded, so
    that a few lines of references to references cannot grow beyond the record.

    Raises:
        ConfigError: the resolved config holds a reference, so that it is not what was resolved.
    """
    _require_resolved(record)
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    recorded, unresolved = in_todays_words(record.config), in_todays_words(record.config_unresolved)
    config = OmegaConf.create(_fixed(unresolved, recorded, recorded))
    try:
        resolved = OmegaConf.to_container(config, resolve=True)
    except (OmegaConfBaseException, RecursionError):
        resolved = None
    return config if resolved == recorded else OmegaConf.create(recorded)


def config_to_repeat(record: RunRecord, own: Mapping[str, Any], outputs: str) -> DictConfig:
    """The config of an equal run: threads, device and precision fixed to what `auto` was decided to be.

    The repeated run is tracked in its folder only, and writes where the user does.

    Args:
        record: the run.
        own: the user's own composition, interpolations kept.
        outputs: where runs of the user land.
    """
    from omegaconf import OmegaConf

    config = OmegaConf.create(_with_own_places(_container(saved_config(record)), own, outputs))
    environment = record.environment
    for key, value in (
        ("threads", environment.threads),
        ("trainer.precision", environment.precision),
        ("trainer.accelerator", environment.accelerator),
        ("tracking.kind", "csv"),
    ):
        node = key.partition(".")[0]
        if value is not None and node in config:
            OmegaConf.update(config, key, value, force_add=True)
    return config


def config_to_vary(record: RunRecord, own: Mapping[str, Any], outputs: str) -> DictConfig:
    """The config that a variation starts from. It writes and is tracked where the user does, not where the record was.

    Args:
        record: the run.
        own: the user's own composition, interpolations kept. Its `tracking` takes the place of the recorded one; a
            record that was tracked in its folder only stays so.
        outputs: where the new run lands, and a local tracking store with it.
    """
    from omegaconf import OmegaConf

    tree = _with_own_places(_container(saved_config(record)), own, outputs)
    recorded = record.config.get("tracking")
    if "tracking" in own and not (isinstance(recorded, Mapping) and recorded.get("kind") == "csv"):
        tree["tracking"] = own["tracking"]
    return OmegaConf.create(tree)


def graft(config: DictConfig, before: Mapping[str, Any], after: Mapping[str, Any], nodes: Iterable[str]) -> DictConfig:
    """Applies to a saved config what group overrides change in a composed one.

    Args:
        config: the saved one.
        before: composed as the run was, without the group overrides; interpolations kept.
        after: composed with them; interpolations kept.
        nodes: dotted keys of the groups that are overridden: each is replaced whole. Of the rest, what differs
            between `before` and `after` is carried over.
    """
    from omegaconf import OmegaConf

    tree = _container(config)
    for node in nodes:
        _replace(tree, after, node.split("."))
    kept = {tuple(node.split(".")) for node in nodes}
    return OmegaConf.create(_carried(tree, before, after, kept))


def apply_changes(config: DictConfig, changes: Iterable[Change]) -> DictConfig:
    """Applies value overrides, in order."""
    from omegaconf import OmegaConf

    changed = config.copy()
    for change in changes:
        if change.delete:
            parent, _, name = change.key.rpartition(".")
            node = OmegaConf.select(changed, parent) if parent else changed
            if node is not None:
                node.pop(name, None)
        else:
            OmegaConf.update(changed, change.key, change.value, merge=True, force_add=True)
    return changed


def _with_own_places(tree: Tree, own: Mapping[str, Any], outputs: str) -> Tree:
    """The config with the user's own places to write to and to delete in: a record may be somebody else's.

    What the stores keep stays as recorded, since it may decide on the last bits.
    """
    found: Tree = {**tree, "outputs": outputs}
    if isinstance(stores := found.get("stores"), Mapping):
        own_stores = own.get("stores") or {}
        places = {key: own_stores.get(key) for key in ("folder", "disk_budget")}
        found["stores"] = {**stores, **places} if None not in places.values() else {**stores, "folder": None}
    if isinstance(trainer := found.get("trainer"), Mapping):
        found["trainer"] = {key: value for key, value in trainer.items() if key != "default_root_dir"}
    return found


def _require_resolved(record: RunRecord) -> None:
    for key, value in flatten(record.config).items():
        if "${" in f"{key} {value}":
            raise ConfigError(
                f"{record.folder}: run.yaml: config.{key}: found {value!r}. Expected a value: `config` is the resolved "
                "config, and hft writes no reference into it. Write there what the run used."
            )


def _fixed(unresolved: Any, resolved: Any, config: Mapping[str, Any]) -> Any:
    """The unresolved side where its references are to keys of `config` and give the resolved one, else that one."""
    if isinstance(unresolved, Mapping) and isinstance(resolved, Mapping):
        return {key: _fixed(unresolved.get(key, value), value, config) for key, value in resolved.items()}
    if isinstance(unresolved, list) and isinstance(resolved, list) and len(unresolved) == len(resolved):
        return [_fixed(one, other, config) for one, other in zip(unresolved, resolved, strict=True)]
    if not isinstance(unresolved, str) or "${" not in unresolved:
        return resolved
    whole = _REFERENCE_TO_A_KEY.fullmatch(unresolved)
    try:
        if whole is not None:
            followed = _recorded(config, whole[1])
        else:
            followed = _REFERENCE_TO_A_KEY.sub(lambda match: str(_recorded(config, match[1])), unresolved)
    except (KeyError, TypeError):
        return resolved
    return unresolved if same(followed, resolved) else resolved


def _recorded(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(key)
        value = value[part]
    return value


def _carried(tree: Tree, before: Mapping[str, Any], after: Mapping[str, Any], kept: set[tuple[str, ...]]) -> Tree:
    """`tree` with the differences between `before` and `after`, except under the paths in `kept`."""
    result = dict(tree)
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if (key,) in kept or same(one, other):
            continue
        inner = {path[1:] for path in kept if path[0] == key and len(path) > 1}
        if isinstance(one, Mapping) and isinstance(other, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _carried(dict(result[key]), one, other, inner)
        elif other is _ABSENT:
            result.pop(key, None)
        else:
            result[key] = other
    return result


def _replace(tree: Tree, after: Mapping[str, Any], path: list[str]) -> None:
    name, *rest = path
    if name not in after:
        if not rest:
            tree.pop(name, None)
        return
    if rest and isinstance(tree.get(name), dict) and isinstance(after[name], Mapping):
        _replace(tree[name], after[name], rest)
    else:
        tree[name] = after[name]


def _container(config: DictConfig) -> Tree:
    from omegaconf import OmegaConf

    container = OmegaConf.to_container(config, resolve=False)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
