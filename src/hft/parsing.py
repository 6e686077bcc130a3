"""YAML and JSON that may come from a stranger: bounded in size, depth and expansion, and plain values only.

A record of 400 bytes can stand for gigabytes (aliases of aliases), and a short text can keep a parser busy for minutes
(brackets in brackets). What is refused here is nothing that hft writes.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hft.errors import DataError

__all__ = ["MOST_BYTES", "check_size", "parse_json", "parse_yaml"]

MOST_BYTES = 4 << 20
DEEPEST = 64
LONGEST_KEY = 1000
# Of a value that is no text: no number, flag or null is longer.
_LONGEST_SCALAR = 100

# Bounds for the parser itself, which works long on what nests deeply before anybody can look at it.
_BRACKETS = re.compile(r"[\[\]{}]")
_MOST_OPEN_BRACKETS = 1000
_DEEP_BLOCKS = re.compile(r"^(?: {500}|(?:[-?:][ \t]+){100})", re.MULTILINE)
_FEW_BRACKETS = 64

_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "map", "seq")}
_TEXT = "tag:yaml.org,2002:str"


def check_size(path: str | os.PathLike[str], most: int = MOST_BYTES) -> None:
    """Refuses what is no file, or too large a one to be what it is said to be.

    Raises:
        DataError: naming the file.
        OSError: it is not there.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{Path(path)}: is no file.")
    if status.st_size > most:
        raise DataError(
            f"{Path(path)}: has {status.st_size:,} bytes, more than the {most:,} that such a file may have. hft wrote "
            "no such file: remove it, or restore it from a copy."
        )


def parse_yaml(text: str) -> Any:
    """The value of a YAML document: mappings, lists, texts, numbers, flags and null.

    Raises:
        ValueError: it is none, or has an alias, another type, a key twice, or nests too deeply.
    """
    if _open_brackets(text) > _MOST_OPEN_BRACKETS or _DEEP_BLOCKS.search(text):
        raise ValueError(f"it nests more than {DEEPEST} deep")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_node(root, 1, set())
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
    finally:
        loader.dispose()


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nests too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogatepass")
    if text.count("[") + text.count("{") > _FEW_BRACKETS and _open_brackets(text) > _MOST_OPEN_BRACKETS:
        raise ValueError(f"it nests more than {DEEPEST} deep")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"it nests more than {DEEPEST} deep") from error
    if isinstance(value, dict | list):
        _check_depth(value)
    return value


def _open_brackets(text: str) -> int:
    """The most brackets that are open at a time; those in texts count too."""
    most = depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in "[{" else -1
        most = max(most, depth)
    return most


def _check_node(node: yaml.Node, depth: int, seen: set[int]) -> None:
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise ValueError(f"line {line}: it has an alias, and hft writes none")
    seen.add(id(node))
    if depth > DEEPEST:
        raise ValueError(f"line {line}: it nests more than {DEEPEST} deep")
    if node.tag not in _PLAIN:
        raise ValueError(f"line {line}: it has a value of the type {node.tag.rpartition(':')[2]}, and hft writes none")
    if isinstance(node, yaml.ScalarNode):
        if node.tag != _TEXT and len(node.value) > _LONGEST_SCALAR:
            raise ValueError(f"line {line}: it has a number of {len(node.value):,} characters")
        return
    if isinstance(node, yaml.MappingNode):
        _check_keys([key for key, _ in node.value])
    for child in _children(node):
        _check_node(child, depth + 1, seen)


def _check_keys(keys: list[yaml.Node]) -> None:
    known: set[tuple[str, str]] = set()
    for key in keys:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"line {line}: it has a key that is no text")
        if len(key.value) > LONGEST_KEY:
            raise ValueError(f"line {line}: it has a key of {len(key.value):,} characters")
        if (key.tag, key.value) in known:
            raise ValueError(f"line {line}: it has the key {key.value!r} twice")
        known.add((key.tag, key.value))


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    else:
        yield from node.value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"it nests more than {DEEPEST} deep")
