"""The key of prepared data covers all code that has a part in preparing it."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import hft
from hft.data import code_version as version_module
from hft.data.code_version import PACKAGES, code_files, code_version

ROOT = Path(hft.__file__).parent


def imports(path: Path) -> set[str]:
    """Every module, and every name of a module, that a file imports anywhere in its code, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def file_of(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split(".")[1:])
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def test_no_file_that_preparing_code_imports_is_left_out() -> None:
    covered = set(code_files())
    assert ROOT / "data" / "prepare.py" in covered
    assert ROOT / "moments.py" in covered
    for path in covered:
        needed = {file_of(name) for name in imports(path) if name.partition(".")[0] == "hft"}
        assert needed - {None} <= covered, f"{path} imports what the key does not cover"


def test_no_package_that_preparing_code_imports_is_left_out() -> None:
    names = {name.partition(".")[0] for path in code_files() for name in imports(path)}
    others = names - set(sys.stdlib_module_names) - {"hft", "_typeshed"}
    distributions = packages_distributions()
    assert {distributions[name][0] for name in others if name in distributions} <= set(PACKAGES)


@pytest.mark.parametrize("name", ["moments.py", "data/items.py", "stores/keys.py"])
def test_a_change_of_any_of_the_files_is_another_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version()
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == ROOT / name))
    version_module.code_version.cache_clear()
    assert code_version() != before
    monkeypatch.undo()
    version_module.code_version.cache_clear()
    assert code_version() == before
