"""The scripts refuse in words what they cannot do, and CI runs what the README tells people to run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci" / "run"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the scripts and what they read, without a .venv."""
    shutil.copytree(ROOT / "scripts", tmp_path / "checkout" / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path / "checkout" / name)
    return tmp_path / "checkout"


def install(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/install from another folder."""
    command = ["bash", str(checkout / "scripts" / "install"), *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=checkout.parent, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def python_that_says(version: str, status: int, at: Path) -> Path:
    """A stand-in for a Python of another version, which fails whatever it is asked."""
    at.write_text(f"#!/bin/sh\necho Python {version}\nexit {status}\n")
    at.chmod(0o755)
    return at


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_parses_can_be_run_and_says_what_it_does(script):
    assert os.access(script, os.X_OK)
    first, second, *_ = script.read_text().splitlines()
    if first == "#!/usr/bin/env python3":
        compile(script.read_text(), script.name, "exec")
        assert second.startswith('"""')
    else:
        assert first == "#!/usr/bin/env bash"
        assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
        assert second.startswith("# ")


def test_an_unknown_extra_is_refused(checkout):
    done = install(checkout, "prod")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no extra called 'prod'; there are demo, dev and servers" in done.stderr


def test_a_python_that_is_too_old_is_named_with_what_to_do(checkout, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        python_that_says("3.9.2", 1, programs / name)
    done = install(checkout, "demo", PATH=f"{programs}{os.pathsep}{os.environ['PATH']}", HFT_PYTHON="")
    assert done.returncode == 2
    assert "needs Python 3.11 or newer; python3 here is Python 3.9.2" in done.stderr
    assert "HFT_PYTHON=" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_named_python_that_does_not_run_is_refused(checkout):
    done = install(checkout, "demo", HFT_PYTHON="/nowhere/python3")
    assert done.returncode == 2
    assert "HFT_PYTHON=/nowhere/python3 is not a Python 3.11 or newer" in done.stderr


def test_ci_runs_the_test_command_of_the_readme():
    last = (ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert last == "exec bash scripts/test </dev/null"
    assert "scripts/test" in (ROOT / "README.md").read_text()


def test_what_ends_the_tests_is_the_closing_line_of_pytest():
    assert (ROOT / "scripts" / "test").read_text().splitlines()[-1].startswith("exec .venv/bin/python -m pytest")


@pytest.mark.parametrize(("variables", "extra"), [({}, "dev"), ({"CI": "true"}, "servers"), ({"CI": "false"}, "dev")])
def test_the_real_servers_of_some_tests_are_installed_where_ci_is_true(checkout, variables, extra):
    """A stand-in for scripts/install says what it is asked for, and ends it there."""
    (checkout / "scripts" / "install").write_text('echo "installs $1" >&2; exit 3\n')
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | variables
    command = ["bash", str(checkout / "scripts" / "test")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, f"installs {extra}\n")


def test_ci_is_true_where_ci_runs():
    assert "export CI=true" in (ROOT / ".ci" / "run").read_text().splitlines()
