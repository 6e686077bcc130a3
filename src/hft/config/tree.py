"""A composed config as plain values: references followed, what cannot be known yet marked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hft.config.report import Finding, first_line, nearest

# `${hydra:...}` has a value only inside a job.
_ONLY_IN_A_JOB = re.compile(r"\$\{hydra:")
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")

# A reference to a key, and nothing in it that could be a resolver or lead to one.
_REFERENCE_TO_A_KEY = re.compile(r"\$\{[\w.\[\]-]+\}")


class Unknown:
    """Stands where a value is missing, cannot be resolved, or is known only once a job runs."""

    def __repr__(self) -> str:
        return "(not known)"


UNKNOWN = Unknown()


@dataclass
class ConfigTree:
    """Plain values of a config.

    Args:
        values: dictionaries, lists and scalars; `UNKNOWN` where there is no value.
        references: dotted keys whose value refers to another one, with the reference as written.
        problems: values that are missing and references that lead nowhere.
    """

    values: Any = None
    references: dict[str, str] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)

    def get(self, key: str) -> Any:
        """The value under a dotted key; None where there is none."""
        try:
            return lookup(self.values, key)
        except KeyError:
            return None

    def is_reference(self, key: str) -> bool:
        return key in self.references

    def refers_to(self, key: str) -> bool:
        """Whether some value of the config is taken from `key`."""
        return any("${" + key + "}" in text for text in self.references.values())


def plain_tree(config: DictConfig) -> ConfigTree:
    """Read a composed config into plain values."""
    tree = ConfigTree()
    tree.values = _read(config, "", tree, config)
    return tree


def targets(tree: ConfigTree) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node with a `_target_`, nested and in lists too, with its dotted key. References are not followed."""
    yield from _targets(tree.values, "", tree)


def refers_to_keys_only(text: str) -> bool:
    """Whether all references of a text are plain ones to other keys: `${seed}`, not `${oc.env:HOME}`.

    What is not certain counts as a resolver: `${${a}:b}` is one, whatever `a` is.
    """
    return "${" not in _REFERENCE_TO_A_KEY.sub("", text)


def join(prefix: str, key: object) -> str:
    """Dotted key of `key` under `prefix`."""
    return f"{prefix}.{key}" if prefix else str(key)


def lookup(values: Any, key: str) -> Any:
    """The value under a dotted key of plain values.

    Raises:
        KeyError: there is no such key.
    """
    for part in key.split("."):
        if isinstance(values, dict):
            values = values[part]
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            raise KeyError(key)
    return values


def all_keys(values: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of plain values."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield join(prefix, key)
            yield from all_keys(value, join(prefix, key))


def has_unknown(value: Any) -> bool:
    """Whether a value, or something in it, is not known yet."""
    if isinstance(value, dict):
        return any(has_unknown(v) for v in value.values())
    if isinstance(value, list):
        return any(has_unknown(v) for v in value)
    return value is UNKNOWN


def _read(node: Any, prefix: str, tree: ConfigTree, root: DictConfig) -> Any:
    if isinstance(node, DictConfig):
        return {str(key): _child(node, key, join(prefix, key), tree, root) for key in node}
    if isinstance(node, ListConfig):
        return [_child(node, i, join(prefix, i), tree, root) for i in range(len(node))]
    return node


def _child(parent: DictConfig | ListConfig, key: Any, dotted: str, tree: ConfigTree, root: DictConfig) -> Any:
    if OmegaConf.is_missing(parent, key):
        tree.problems.append(
            Finding(dotted, "has no value, and needs one", advice=f"give it on the command line: {dotted}=VALUE")
        )
        return UNKNOWN
    if OmegaConf.is_interpolation(parent, key):
        written = _as_written(parent, key)
        tree.references[dotted] = written
        if _ONLY_IN_A_JOB.search(written):
            return UNKNOWN
        try:
            return _plain(parent[key])
        except (OmegaConfBaseException, ValueError, KeyError, TypeError) as error:
            tree.problems.append(_broken_reference(dotted, written, error, root))
            return UNKNOWN
    return _read(parent[key], dotted, tree, root)


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _as_written(parent: DictConfig | ListConfig, key: Any) -> str:
    container = OmegaConf.to_container(parent, resolve=False)
    assert isinstance(container, dict | list)
    return str(container[key])


def _broken_reference(dotted: str, written: str, error: Exception, root: DictConfig) -> Finding:
    known = list(all_keys(OmegaConf.to_container(root, resolve=False)))
    hints = [nearest(name, known) for name in _REFERENCE.findall(written) if name not in known]
    hint = next((f"${{{found}}}" for found in hints if found), None)
    return Finding(dotted, f"the reference {written} cannot be resolved: {first_line(error)}", nearest=hint)


def _targets(value: Any, key: str, tree: ConfigTree) -> Iterator[tuple[str, dict[str, Any]]]:
    if tree.is_reference(key):
        return
    if isinstance(value, dict):
        if "_target_" in value:
            yield key, value
        for name, child in value.items():
            yield from _targets(child, join(key, name), tree)
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _targets(child, join(key, position), tree)
