"""Trials in worker processes: deaths, Ctrl-C, kill -9, threads, apps that are one unguarded file."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from running_apps import App, group_members, interrupt
from waiting import wait_until

SPACE = ["x=interval(-5,5)", "y=int(interval(0,10))"]
PARALLEL = ["hydra.sweeper.n_parallel=2"]
SLOW = ["steps=1", "seconds=0.2", "hydra.sweeper.pictures=false"]

ONE_FILE = """
import pickle
import threading
import hydra
from hydra.core.config_store import ConfigStore
from dataclasses import dataclass

@dataclass
class Config:
    x: float = 0.0

class Model:
    def __init__(self, x):
        self.x = x

ConfigStore.instance().store(name="config", node=Config)

@hydra.main(version_base=None, config_name="config")
def app(config):
    return pickle.loads(pickle.dumps(Model(config.x))).x ** 2

app()
"""


@pytest.mark.parametrize("sweeper", ["hft_hyperopt", "hft_optuna"])
def test_two_workers_run_all_trials_and_import_once(app, sweeper):
    app.search(f"hydra/sweeper={sweeper}", *SPACE, *PARALLEL, "hydra.sweeper.max_evals=8", "returns=mapping")
    told = app.events()
    assert [event["number"] for event in told] == list(range(8))
    assert 1 <= len({event["details"]["pid"] for event in told}) <= 2
    assert (app.folder / "sweep/3/output.log").read_text() == f"value {told[3]['values'][0]}\n"
    assert not (app.folder / "sweep/workers.log").exists()


def test_the_cores_are_divided_unless_the_user_has_said(app, monkeypatch):
    command = ["hydra/sweeper=hft_hyperopt", *SPACE, "hydra.sweeper.max_evals=2", "returns=mapping"]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    app.search(*command, "hydra.sweeper.n_parallel=1000", folder="divided")
    assert {event["details"]["threads"] for event in app.events("divided")} == {"1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    app.search(*command, *PARALLEL, folder="said")
    assert {event["details"]["threads"] for event in app.events("said")} == {"3"}


@pytest.mark.parametrize(("trouble", "reason"), [("killed", "killed by SIGKILL"), ("sometimes", "exit status 3")])
def test_a_workers_death_is_one_failed_trial(app, trouble, reason):
    app.search(
        "hydra/sweeper=hft_optuna", *SPACE, *PARALLEL, "hydra.sweeper.max_evals=8", f"trouble={trouble}", "edge=1"
    )
    told = app.events()
    failed = [event for event in told if event["state"] == "failed"]
    assert len(told) == 8
    assert failed
    assert all(reason in event["reason"] for event in failed)
    assert all((app.folder / "sweep" / event["folder"] / "app.log").exists() for event in failed)
    assert len(failed) < 8


def test_killed_at_any_moment_a_parallel_search_resumes_and_leaves_no_process(app):
    command = ["hydra/sweeper=hft_hyperopt", *SPACE, *PARALLEL, "hydra.sweeper.max_evals=500", *SLOW]
    for done_before in (1, 4):
        process = app.start("-m", "hydra.sweep.dir=sweep", *command)
        wait_until(lambda most=done_before: len(app.events()) >= most)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        wait_until(lambda leader=process.pid: not group_members(leader), "no process is left")
    started = len(app.events(event="ask"))
    app.search(*command, f"hydra.sweeper.max_evals={started + 3}")
    assert [event["number"] for event in app.events(event="ask")] == list(range(started + 3))
    assert [event["number"] for event in app.events()] == list(range(started + 3))


@pytest.mark.parametrize("n_parallel", [1, 2])
def test_ctrl_c_ends_all_without_a_traceback_and_says_how_to_go_on(app, n_parallel):
    parallel = f"hydra.sweeper.n_parallel={n_parallel}"
    command = ["hydra/sweeper=hft_hyperopt", *SPACE, parallel, "hydra.sweeper.max_evals=500", *SLOW]
    process = app.start("-m", *command)
    wait_until(lambda: any(app.folder.glob("multirun/*/*/1")))
    out, err = interrupt(process)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    (folder,) = app.folder.glob("multirun/*/*")
    assert f"hydra.sweep.dir={folder}" in out
    wait_until(lambda: not group_members(process.pid), "no process is left")
    resumed = app.run("-m", *command, "hydra.sweeper.max_evals=3", f"hydra.sweep.dir={folder}")
    assert resumed.returncode == 0, resumed.stderr


def test_a_script_of_one_file_need_not_guard_its_main_function(tmp_path: Path):
    (tmp_path / "one.py").write_text(ONE_FILE)
    app = App(tmp_path, tmp_path / "one.py")
    app.search("hydra/sweeper=hft_hyperopt", "x=interval(0,1)", *PARALLEL, "hydra.sweeper.max_evals=3")
    assert [event["state"] for event in app.events()] == ["done"] * 3


def test_what_cannot_be_sent_to_a_worker_is_told(tmp_path: Path):
    text = ONE_FILE.replace("class Model:", "lock = threading.Lock()\n\nclass Model:").replace(
        "return", "return lock and"
    )
    (tmp_path / "one.py").write_text(text)
    done = App(tmp_path, tmp_path / "one.py").run(
        "-m", "hydra/sweeper=hft_hyperopt", "x=interval(0,1)", *PARALLEL, "hydra.sweeper.max_evals=3"
    )
    assert done.returncode == 1
    assert "n_parallel=1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("launcher", ["joblib", pytest.param("submitit_local", marks=pytest.mark.slow)])
def test_other_launchers_run_trials_side_by_side(app, launcher):
    app.search(
        "hydra/sweeper=hft_hyperopt",
        f"hydra/launcher={launcher}",
        *SPACE,
        *PARALLEL,
        "hydra.sweeper.max_evals=4",
        "trouble=sometimes" if launcher == "submitit_local" else "trouble=random",
        "edge=4.5",
    )
    assert [event["number"] for event in app.events()] == list(range(4))


def test_in_an_enumeration_a_workers_death_fails_its_job_and_no_other(app):
    done = app.run("-m", "hydra/sweeper=hft_optuna", "x=1,9,2", "trouble=killed", *PARALLEL, "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert "job 1: the worker process was killed by SIGKILL" in done.stderr
    assert (app.folder / "sweep/2/output.log").read_text() == "value 11.0\n"
