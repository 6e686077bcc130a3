"""What the wheel and the source distribution hold."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONF = Path(__file__).resolve().parents[2] / "conf"
CONFIGS = {path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")}


@pytest.fixture
def in_wheel(distributions: Path) -> set[str]:
    (wheel,) = distributions.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture
def in_source_distribution(distributions: Path) -> set[str]:
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        return {name.partition("/")[2] for name in file.getnames()}


def test_the_wheel_holds_every_config_as_hft_conf(in_wheel):
    prefix = "hft/conf/"
    found = {name.removeprefix(prefix) for name in in_wheel if name.startswith(prefix) and name.endswith(".yaml")}
    assert found == CONFIGS


def test_both_hold_the_kernels_in_c(in_wheel, in_source_distribution):
    assert {"hft/native/kernels.c", "hft/native/tiles.h"} <= set(in_wheel)
    assert {"src/hft/native/kernels.c", "src/hft/native/tiles.h"} <= set(in_source_distribution)


def test_the_wheel_leaves_the_namespace_of_hydra_plugins_open(in_wheel):
    plugins = ("search_path", "hyperopt_sweeper", "optuna_sweeper")
    assert {f"hydra_plugins/hft/{name}.py" for name in plugins} <= in_wheel
    assert "hydra_plugins/__init__.py" not in in_wheel


def test_the_wheel_holds_its_types_and_its_license(in_wheel):
    assert "hft/py.typed" in in_wheel
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in in_wheel)


def test_the_wheel_brings_nothing_but_hft(in_wheel):
    top = {name.partition("/")[0] for name in in_wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"hft", "hydra_plugins"}


def test_the_source_distribution_holds_the_configs_and_what_a_builder_reads(in_source_distribution):
    assert {f"src/hft/conf/{name}" for name in CONFIGS} <= in_source_distribution
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "constraints.txt"} <= in_source_distribution
