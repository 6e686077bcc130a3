"""Hydra's own suites for sweepers and launchers, against both sweepers where they enumerate."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite

SWEEPERS = ["hft_hyperopt", "hft_optuna"]

# With worker processes, jobs come back from where they ran just as they do from Hydra's basic launcher.
WAYS = [[f"hydra/sweeper={name}"] for name in SWEEPERS] + [["hydra/sweeper=hft_hyperopt", "hydra.sweeper.n_parallel=2"]]


def test_hydra_discovers_both_sweepers_and_not_their_base():
    names = {plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)}
    assert {"HftHyperoptSweeper", "HftOptunaSweeper"} <= names
    assert "EngineSweeper" not in names


def test_the_plugins_import_nothing_of_weight_into_other_apps(tmp_path):
    code = (
        "import sys\n"
        "from hydra.core.plugins import Plugins\n"
        "Plugins.instance()\n"
        "heavy = ('hft', 'numpy', 'optuna', 'hyperopt', 'pydantic', 'torch')\n"
        "print([name for name in heavy if name in sys.modules], 'hydra_plugins.hft.optuna_sweeper' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[] True\n", done.stderr


@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", way) for way in WAYS])
class TestJobs(LauncherTestSuite):
    """One job, several, groups, resolvers, bad keys."""


@pytest.mark.parametrize(
    ("launcher_name", "overrides"), [("basic", [*way, "hydra.sweeper.max_batch_size=2"]) for way in WAYS]
)
class TestBatches(BatchedSweeperTestSuite):
    """The whole product, in order, in batches."""


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [
        ({}, ["-m", f"hydra/sweeper={name}", "hydra/hydra_logging=disabled", "hydra/job_logging=disabled"])
        for name in SWEEPERS
    ],
)
class TestApps(IntegrationTestSuite):
    """Names and folders of jobs of an app in a process of its own."""
