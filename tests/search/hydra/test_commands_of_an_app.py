"""The commands that a search in an app prints can be copied: they run its winner, and go on where it ended."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from hft.checksums import read_sealed
from hft.search.sweeper.app_commands import resume_command, winner_template
from running_apps import App

MODULE = """
import hydra

from .help import squared


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    return squared(config.x)


if __name__ == "__main__":
    main()
"""

TYPED = """
from dataclasses import dataclass

import hydra
from hydra.core.config_store import ConfigStore


@dataclass
class Config:
    n: int = 3


ConfigStore.instance().store("config", Config)


@hydra.main(version_base=None, config_name="config")
def main(config):
    return config.n


main()
"""

CONFIG = """
defaults:
  - _self_
  - override hydra/sweeper: hft_optuna
x: 1.0
hydra:
  mode: MULTIRUN
  sweeper: {max_evals: 3, pictures: false, space: {x: {low: 1, high: 2}}}
"""


@pytest.fixture
def started_as(monkeypatch):
    def start(*arguments, module=None):
        monkeypatch.setattr(sys, "argv", list(arguments))
        spec = None if module is None else type("Spec", (), {"name": module})
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)

    return start


@pytest.mark.parametrize(
    ("ended", "more"),
    [
        (None, ""),
        ("stopped", ""),
        ("budget", " hydra.sweeper.max_evals=MORE"),
        ("timeout", " hydra.sweeper.timeout=MORE"),
    ],
)
def test_what_ended_a_search_is_asked_for_again(ended, more, started_as, tmp_path):
    started_as("app.py", "-m", "x=interval(0,1)", "hydra.sweep.dir=old")
    expected = f"python app.py -m 'x=interval(0,1)' hydra.sweep.dir={tmp_path}{more}"
    assert resume_command(tmp_path, ended) == expected


def test_a_budget_is_not_given_twice(started_as, tmp_path):
    started_as("app.py", "-m", "x=interval(0,1)", "hydra.sweeper.max_evals=9")
    command = resume_command(tmp_path, "budget")
    assert command == f"python app.py -m 'x=interval(0,1)' hydra.sweep.dir={tmp_path} hydra.sweeper.max_evals=MORE"


def test_an_exhausted_space_has_no_more(started_as, tmp_path):
    started_as("app.py", "-m", "x=1,2", "hydra.sweeper.max_evals=9")
    assert resume_command(tmp_path, "exhausted") is None


@pytest.mark.parametrize(
    ("arguments", "module", "expected"),
    [
        (["app.py", "-m"], None, "python app.py +winner=best"),
        (["/bin/train-it", "-m", "-cn", "big"], None, "/bin/train-it -cn big +winner=best"),
        (["/x/app.py", "-m", "--config-name=big"], "my.app", "python -m my.app --config-name=big +winner=best"),
        (["/x/__main__.py", "-m"], "my.__main__", "python -m my +winner=best"),
        (["app.py", "-cp", "../conf"], None, "python app.py -cp ../conf +winner=best hydra.mode=RUN"),
    ],
)
def test_the_winner_is_run_as_the_search_was(arguments, module, expected, started_as):
    started_as(*arguments, module=module)
    assert winner_template().replace("--config-dir {conf} ", "") == expected


@pytest.mark.parametrize("own", [["--config-dir", "own"], ["--config-dir=own"], ["-cd", "own"]])
def test_an_apps_own_config_dir_stays_beside_the_winner(own, started_as):
    started_as("app.py", "-m", *own)
    command = shlex.split(winner_template(["pkg://more"]).replace("{conf}", shlex.quote("/a b/conf")))
    place = 'hydra.searchpath=["pkg://more","file:///a b/conf"]'.replace('"pkg', "'pkg").replace('more"', "more'")
    assert command == ["python", "app.py", *own, place, "+winner=best"]


def test_the_winner_of_an_app_with_its_own_config_dir_runs(app):
    own = app.folder / "own" / "algorithm"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("name: mine\ncost: 0.5\n")
    request = ["--config-dir", "own", "hydra/sweeper=hft_optuna", "algorithm=mine", "x=interval(0,1)"]
    done = app.search(*request, "hydra.sweeper.max_evals=2", folder="the sweep")
    lines = done.stdout.splitlines()
    command = shlex.split(lines[lines.index("Run the winner") + 1])
    again = subprocess.run([sys.executable, *command[1:]], cwd=app.folder, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    (config,) = (app.folder / "outputs").rglob(".hydra/config.yaml")
    assert "name: mine" in config.read_text()


def test_what_an_engine_cannot_search_is_refused_before_the_search_is_announced(app):
    request = ["hydra/sweeper=hft_optuna", "algorithm=fast,plain", "hydra.sweeper.algorithm=cmaes"]
    done = app.run("-m", *request, "hydra.sweeper.max_evals=2", "hydra.sweep.dir=sweep")
    assert "cmaes moves numbers" in done.stderr
    assert "Searching" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("swept", "is_told"),
    [("y=interval(0,10)", True), ("y=int(interval(0,10))", False), ("x=interval(0,10)", False), ("y=1,5", False)],
)
def test_a_whole_number_that_is_searched_as_a_real_one_is_told_of(swept, is_told, app):
    done = app.search("hydra/sweeper=hft_optuna", swept, "hydra.sweeper.max_evals=1")
    assert ("y: is a whole number in the config" in done.stdout) == is_told
    assert ("int(interval(..))" in done.stdout) == is_told


def test_of_a_typed_whole_number_the_refusal_says_how(tmp_path):
    (tmp_path / "app.py").write_text(TYPED)
    done = App(tmp_path, tmp_path / "app.py").run(
        "-m", "hydra/sweeper=hft_optuna", "n=interval(1,5)", "hydra.sweeper.max_evals=1"
    )
    assert done.returncode == 1
    assert "hydra.sweeper.space.n: found 1.0" in done.stderr
    assert "int(interval(..))" in done.stderr


def test_stages_are_not_extended(app):
    stages = "hydra.sweeper.stages=[{max_evals: 2}, {max_evals: 2, around_best: 0.5}]"
    done = app.search("hydra/sweeper=hft_optuna", "x=interval(0,1)", stages)
    assert "Extend" not in done.stdout


def test_the_winner_of_a_module_whose_config_asks_for_sweeps_runs_once(app):
    package = app.folder / "package"
    (package / "conf").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "help.py").write_text("def squared(x):\n    return x * x\n")
    (package / "app.py").write_text(MODULE)
    (package / "conf" / "config.yaml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "package.app", "hydra.sweep.dir=sweep"], cwd=app.folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    comment = read_sealed(app.folder / "sweep/conf/winner/best.yaml").splitlines()[1]
    command = shlex.split(comment.removeprefix("# "))
    assert command[:3] == ["python", "-m", "package.app"]
    again = subprocess.run([sys.executable, *command[1:]], cwd=app.folder, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert len(app.events("sweep")) == 3
    assert (app.folder / "outputs").is_dir()
    assert not (app.folder / "multirun").exists()


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (["x=interval(0,1)", "hydra.sweeper.pruner=mediam"], "hydra.sweeper.pruner.kind"),
        (["x=interval(0,1)", "hydra.sweeper.pruner=3"], "hydra.sweeper.pruner: found 3; expected: median, asha"),
        (["x=interval(0,1)", "hydra.sweeper.pruner=hyperband"], "hydra.sweeper.pruner.max_reports: missing"),
        (["x=interval(0,1)", "hydra.sweeper.stages=3"], "hydra.sweeper.stages: found 3; expected: a list"),
        (["algorithm=fast,plain", "hydra.sweeper.algorithm=cmaes"], "hydra.sweeper.algorithm: cmaes moves numbers"),
        (["x=interval(0,1)", "+seed=1,2"], "+seed=1,2: a seed is never optimised"),
        (["hydra.sweeper.space={+seed: [1, 2]}"], "hydra.sweeper.space.+seed: a seed is never optimised"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_the_app(app, request_, told):
    done = app.run("-m", "hydra/sweeper=hft_optuna", *request_, "hydra.sweeper.max_evals=3", "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (app.folder / "sweep/0").exists()


@pytest.mark.parametrize(("steps", "is_told"), [(0, True), (3, False)])
def test_a_pruner_that_nothing_reports_to_is_told_of(app, steps, is_told):
    request = ["hydra/sweeper=hft_optuna", "x=interval(0,1)", "hydra.sweeper.max_evals=3", f"steps={steps}"]
    done = app.search(*request, "hydra.sweeper.pruner=median")
    assert ("hft.search.report(value)" in done.stdout) == is_told
