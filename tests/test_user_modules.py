"""A class that a config names is sought in the current folder, after what is installed; nothing else is."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.utils import get_object, instantiate

from hft.user_modules import SAFE_PATH, seek_user_modules

HFT = Path(sys.executable).parent / "hft"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with modules that are gone from the process afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_a_named_class_comes_with_the_modules_of_the_folder_that_it_imports(folder: Path) -> None:
    write(folder, "own_class_a.py", "import own_helper_a\nclass Mine:\n    size = own_helper_a.SIZE\n")
    write(folder, "own_helper_a.py", "SIZE = 7\n")
    seek_user_modules()
    assert get_object("own_class_a.Mine").size == 7


def test_a_class_of_a_package_with_relative_imports_is_found(folder: Path) -> None:
    write(folder, "own_package_b/__init__.py", "")
    write(folder, "own_package_b/inner/values.py", "SIZE = 8\n")
    write(folder, "own_package_b/classes.py", "from .inner.values import SIZE\nclass Mine:\n    size = SIZE\n")
    seek_user_modules()
    assert instantiate({"_target_": "own_package_b.classes.Mine"}).size == 8


def test_a_library_that_asks_for_a_module_does_not_get_one_of_the_folder(folder: Path) -> None:
    write(folder, "own_optional_c.py", "raise SystemExit('ran')\n")
    seek_user_modules()
    assert importlib.util.find_spec("own_optional_c") is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("own_optional_c")


def test_an_installed_package_comes_before_a_module_of_its_name(folder: Path) -> None:
    write(folder, "colorsys.py", "raise SystemExit('ran')\n")
    seek_user_modules()
    assert get_object("colorsys.rgb_to_hls")(0, 0, 0) == (0, 0, 0)


def test_bytecode_beside_a_source_does_not_run(folder: Path) -> None:
    write(folder, "own_cached_d.py", "class Mine:\n    size = 1\n")
    write(folder, "evil.py", "class Mine:\n    size = 666\n")
    import py_compile

    cached = importlib.util.cache_from_source(str(folder / "own_cached_d.py"))
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(folder / "evil.py"), cfile=cached, invalidation_mode=mode)
    seek_user_modules()
    assert get_object("own_cached_d.Mine").size == 1


# Modules that Python or a library imports while a command runs, and some that libraries look for.
STRANGERS = (
    "yaml",
    "typing",
    "rich",
    "pickle",
    "struct",
    "multiprocessing",
    "hydra",
    "omegaconf",
    "ujson",
    "tensorflow",
)


@pytest.mark.parametrize("command", [[str(HFT)], [sys.executable, "-m", "hft"]], ids=["hft", "python -m hft"])
def test_no_command_runs_what_lies_in_the_current_folder(folder: Path, command: list[str]) -> None:
    for name in STRANGERS:
        write(folder, f"{name}.py", f"open('ran', 'a').write('{name} ')\n")
    write(folder, "hydra_plugins/stranger.py", "open('ran', 'a').write('plugin ')\n")
    environ = {name: value for name, value in os.environ.items() if name != SAFE_PATH}
    for words in (["runs"], ["check"]):
        subprocess.run([*command, *words], env=environ, check=True, capture_output=True, timeout=120)
    assert not (folder / "ran").exists()
