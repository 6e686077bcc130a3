"""Every name that a module of hft offers in `__all__` can be imported from it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import hft


def offers_names(module: str) -> bool:
    """Whether the module's source sets `__all__`; told without importing it: `hft.__main__` would run."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    nodes = ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return any(isinstance(node, ast.Name) and node.id == "__all__" for node in nodes)


MODULES = [
    name
    for name in ("hft", *(found.name for found in pkgutil.walk_packages(hft.__path__, "hft.")))
    if offers_names(name)
]


def test_the_packages_of_the_house_are_among_them() -> None:
    assert {"hft", "hft.losses", "hft.metrics", "hft.data", "hft.search", "hft.training"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_offers_what_it_says_once(name: str) -> None:
    found: dict[str, object] = {}
    exec(f"from {name} import *", found)
    offered = importlib.import_module(name).__all__
    assert [one for one in offered if one not in found] == []
    assert len(set(offered)) == len(offered)
