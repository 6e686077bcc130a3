"""hft built from a copy of its source and installed into environments of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_FILES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "MANIFEST.in",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "constraints.txt",
)
SOURCE_FOLDERS = ("src", "conf")


def succeed(command: list[str], cwd: Path) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class InstalledHft:
    """An environment where hft is installed, and a current folder that holds nothing."""

    environment: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment as a user does, without what this test run has on its path."""
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        program = str(self.environment / "bin" / command[0])
        return subprocess.run(
            [program, *command[1:]], cwd=self.folder, env=variables, capture_output=True, text=True, check=False
        )


def environment_with(wheel: Path, at: Path) -> Path:
    """A new virtual environment with a wheel of hft; its dependencies are borrowed from the one that runs the tests."""
    succeed([sys.executable, "-m", "venv", "--without-pip", str(at)], at.parent)
    python = str(at / "bin" / "python")
    # Installed before anything is borrowed: pip must not take the hft of this environment for the new one's.
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    succeed([*pip, str(wheel)], at.parent)
    own = Path(succeed([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], at.parent).strip())
    borrowed = {folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")}
    # Python reads no .pth files of a folder that a .pth file names, so an editable hft there stays out of sight.
    (own / "borrowed.pth").write_text("".join(f"{folder}\n" for folder in sorted(borrowed)))
    return at


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a distribution is made of, so that building leaves nothing in the working tree."""
    copy = tmp_path_factory.mktemp("source") / "hft"
    copy.mkdir()
    for name in SOURCE_FILES:
        shutil.copy2(ROOT / name, copy / name)
    for name in SOURCE_FOLDERS:
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=left_out)
    return copy


@pytest.fixture(scope="session")
def distributions(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it. Nothing is downloaded."""
    folder = tmp_path_factory.mktemp("dist")
    succeed([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)], source)
    return folder


@pytest.fixture(scope="session")
def wheel_environment(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with hft from its wheel."""
    (wheel,) = distributions.glob("*.whl")
    return environment_with(wheel, tmp_path_factory.mktemp("from_wheel") / "environment")


@pytest.fixture(scope="session")
def editable_environment(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with hft as `pip install -e` leaves it."""
    build = "import sys, setuptools.build_meta as backend; backend.build_editable(sys.argv[1])"
    place = tmp_path_factory.mktemp("editable")
    succeed([sys.executable, "-c", build, str(place)], source)
    (wheel,) = place.glob("*.whl")
    return environment_with(wheel, place / "environment")


@pytest.fixture
def from_wheel(wheel_environment: Path, tmp_path: Path) -> InstalledHft:
    """hft from its wheel, in a current folder of the test's own."""
    return InstalledHft(wheel_environment, tmp_path)


@pytest.fixture
def editable(editable_environment: Path, tmp_path: Path) -> InstalledHft:
    """hft as `pip install -e` leaves it, in a current folder of the test's own."""
    return InstalledHft(editable_environment, tmp_path)
