"""The house keeps its shape: who imports whom, what stays light, and how files are named and opened."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
CONF = ROOT / "conf"

# Every room may import these; they import no room.
FOUNDATION = {
    "errors": set(),
    "settings": {"errors"},
    "files": {"errors"},
    "checksums": {"errors", "parsing"},
    "threads": set(),
    "moments": set(),
    "native": set(),
    "stores": {"errors", "files", "checksums"},
    "compositions": set(),
    "redaction": set(),
    "user_lists": set(),
    "user_modules": set(),
    "parsing": {"errors"},
    "names": {"errors"},
    "places": set(),
    "figures": {"terminal"},
    "csv_cells": set(),
    "terminal": {"redaction"},
    "consoles": {"terminal"},
    "stopping": {"errors"},
    "memory": {"errors"},
}

# What a room may import beside the foundation and itself. A room that is not named here may import no other room.
MAY_IMPORT = {
    "methods": {"data", "models", "losses", "metrics", "training"},
    "training": {"models", "losses", "metrics"},
    # The check must read a search space exactly as the search does; it imports light parts only (see LIGHT).
    "config": {"search"},
}

# The way of a run (train.py, evaluate.py, promotion.py, api.py and the room `running`) knows every room, and no room
# knows it. Only the command line stands above it.
ABOVE_THE_ROOMS = {"cli", "running"}
KNOW_A_RUN = {"cli", "running", "api", "train", "evaluate", "promotion"}

# `python -m hft.train` is `hft train`.
EXCEPTIONS = {("hft.train", "cli")}

HEAVY = ("torch", "pytorch_lightning", "transformers", "mlflow")
LIGHT = (
    "hft",
    "hft.cli",
    "hft.config",
    "hft.data",
    "hft.metrics",
    "hft.errors",
    "hft.settings",
    "hft.files",
    "hft.checksums",
    "hft.redaction",
    "hft.stores",
)

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def module_name(path: Path) -> str:
    """`src/hft/losses/infonce.py` as `hft.losses.infonce`; a package by its own name."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path for path in sorted(SOURCE.glob("*/hft/**/*.py")) + sorted(SOURCE.glob("hft/**/*.py"))
}
ROOMS = {path.parent.name for path in SOURCE.glob("hft/*/__init__.py")} - {"conf"}
PARTS = ROOMS | {path.stem for path in SOURCE.glob("hft/*.py")} - {"__init__"}


def imported(name: str) -> Iterator[tuple[str, int]]:
    """Every module that a module imports, at any depth of its code, with the line."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*above, origin] if origin else above)
            yield origin, node.lineno
            yield from ((f"{origin}.{alias.name}", node.lineno) for alias in node.names)


def parts_of_hft_imported(name: str) -> Iterator[tuple[str, int]]:
    """The rooms and top modules of hft that a module imports: `losses`, `errors`, `train`."""
    for target, line in imported(name):
        parts = target.split(".")
        if parts[0] == "hft" and len(parts) > 1 and parts[1] in PARTS:
            yield parts[1], line


def allowed(name: str) -> set[str] | None:
    """What a module of hft may import of hft; None is everything but the command line."""
    own = name.split(".")[1]
    if own in FOUNDATION:
        return FOUNDATION[own] | {own}
    if own in ROOMS:
        return {own} | set(FOUNDATION) | MAY_IMPORT.get(own, set())
    return None


def test_the_rooms_are_found():
    assert {"cli", "config", "data", "models", "techniques", "training", "losses", "metrics", "experiments"} <= ROOMS
    assert set(FOUNDATION) <= {name.removeprefix("hft.") for name in MODULES}


@pytest.mark.parametrize("room", sorted(ROOMS - ABOVE_THE_ROOMS))
def test_a_room_imports_only_what_the_architecture_allows(room):
    strangers = [
        f"{MODULES[name].relative_to(ROOT)}:{line} imports hft.{part}"
        for name in MODULES
        if name.split(".")[:2] == ["hft", room]
        for part, line in parts_of_hft_imported(name)
        if part not in (allowed(name) or set())
    ]
    assert strangers == []


@pytest.mark.parametrize("module", sorted(FOUNDATION))
def test_the_foundation_imports_no_room(module):
    strangers = {part for part, _ in parts_of_hft_imported(f"hft.{module}")} - FOUNDATION[module] - {module}
    assert strangers == set()


def test_nothing_but_the_command_line_imports_the_command_line():
    importers = {
        (name, part)
        for name in MODULES
        if name.split(".")[:2] != ["hft", "cli"]
        for part, _ in parts_of_hft_imported(name)
        if part == "cli"
    }
    assert importers - EXCEPTIONS == {("hft.__main__", "cli")}


def test_only_the_way_of_a_run_imports_the_room_of_a_run():
    importers = {name for name in MODULES for part, _ in parts_of_hft_imported(name) if part == "running"}
    # Hydra calls the sweepers, and in hft's own app they hand over to the way of a run.
    importers -= {"hydra_plugins.hft._engine_sweeper"}
    assert {name.split(".")[1] for name in importers} <= KNOW_A_RUN


def test_a_hydra_plugin_imports_hft_only_inside_functions():
    plugins = {name: path for name, path in MODULES.items() if name.startswith("hydra_plugins.")}
    assert plugins
    for name, path in plugins.items():
        at_import = ast.parse(path.read_text(encoding="utf-8")).body
        lines = {node.lineno for node in at_import if isinstance(node, ast.Import | ast.ImportFrom)}
        assert [target for target, line in imported(name) if line in lines and target.startswith("hft")] == []


def test_the_namespace_of_hydra_plugins_is_left_open():
    assert not (SOURCE / "hydra_plugins" / "__init__.py").exists()


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_and_all_below_it_import_nothing_heavy(module, tmp_path):
    below = [name for name in MODULES if name.startswith(f"{module}.")] if module != "hft" else []
    code = (
        "import importlib, sys\n"
        f"for name in {[module, *below]!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_every_module_has_a_name_that_says_what_it_is():
    empty = [name for name in MODULES if EMPTY_NAMES & set(name.split("."))]
    assert empty == []


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_lists_what_it_offers(room):
    tree = ast.parse((SOURCE / "hft" / room / "__init__.py").read_text(encoding="utf-8"))
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    assert "__all__" in assigned


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: path.relative_to(CONF).as_posix())
def test_every_config_opens_with_a_comment(path):
    assert path.read_text(encoding="utf-8").startswith("#")


def test_the_packaged_configs_are_the_ones_at_the_top():
    assert (SOURCE / "hft" / "conf").resolve() == CONF.resolve()
