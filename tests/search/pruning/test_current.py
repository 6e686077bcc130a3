"""A job that reports on its way, wherever it runs."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time

import pytest

import hft.search.pruning.current as current_module
from hft.checksums import unsealed_row
from hft.errors import ConfigError, StorageError
from hft.search import (
    FunctionLauncher,
    PrunerSettings,
    SearchSettings,
    SearchSpace,
    Stage,
    Sweep,
    current_trial,
    report,
)
from hft.search.pruning.intermediate import GrowingFile, SweepReports, append_report, last_report

SPACE = SearchSpace.parse({"x": list(range(40))})


def sweep(folder, objective, *, n_parallel=1, **settings):
    settings.setdefault("max_evals", 3)
    made = SearchSettings(n_parallel=n_parallel, **settings)
    return Sweep(folder, SPACE, made, engine="exhaustive", launcher=FunctionLauncher(objective, n_parallel)).run()


def test_outside_of_a_sweep_there_is_no_trial_and_a_report_goes_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert current_trial() is None
    report(1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_function_knows_its_trial(tmp_path):
    seen = []

    def objective(params):
        trial = current_trial()
        seen.append((trial.number, trial.folder, trial.sweep_folder, trial.is_search, trial.settings.max_evals))
        return 1.0

    sweep(tmp_path, objective, max_evals=2)
    assert seen == [(number, tmp_path / str(number), tmp_path, True, 2) for number in (0, 1)]
    assert current_trial() is None


def test_reports_are_numbered_from_one_unless_told_and_nan_is_no_value(tmp_path):
    def objective(params):
        report(3.0)
        report(math.nan)
        report(1.0, step=10)
        report(math.inf)
        return 1.0

    sweep(tmp_path, objective, max_evals=1)
    lines = (tmp_path / "0" / "intermediate.jsonl").read_text().splitlines()
    assert [json.loads(unsealed_row(line.encode())) for line in lines] == [
        {"step": 1, "value": 3.0},
        {"step": 2, "value": None},
        {"step": 10, "value": 1.0},
        {"step": 4, "value": None},
    ]
    assert last_report(tmp_path, 0)[1] == 1.0
    assert last_report(tmp_path, 7) is None


@pytest.mark.parametrize("n_parallel", [1, 3])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_hopeless_trials_are_pruned_and_told_so(tmp_path, direction, n_parallel):
    sign = 1.0 if direction == "minimize" else -1.0

    def objective(params):
        for _ in range(3):
            time.sleep(0.001)
            report(sign * params["x"])
        return sign * params["x"]

    pruner = PrunerSettings(kind="median")
    state = sweep(tmp_path, objective, max_evals=12, direction=(direction,), pruner=pruner, n_parallel=n_parallel)
    states = [trial.state for trial in state.trials]
    assert states[:5] == ["done"] * 5
    assert set(states[8:]) == {"pruned"}
    assert state.trials[11].values == (sign * 11.0,)
    assert "worse than the median" in state.trials[11].reason
    assert state.best.number == 0


def test_an_enumeration_prunes_nothing(tmp_path):
    def objective(params):
        report(params["x"])
        return params["x"]

    settings = SearchSettings(max_evals=12, pruner=PrunerSettings(kind="asha"))
    launcher = FunctionLauncher(objective)
    state = Sweep(tmp_path, SPACE, settings, engine="exhaustive", launcher=launcher, is_search=False).run()
    assert {trial.state for trial in state.trials} == {"done"}


def test_trials_of_another_stage_are_no_siblings(tmp_path):
    def objective(params):
        stage_shift = 100.0 if current_trial().number >= 6 else 0.0
        report(params["x"] + stage_shift)
        return params["x"] + stage_shift

    stages = [Stage(max_evals=6), Stage(max_evals=3)]
    pruner = PrunerSettings(kind="median")
    state = sweep(tmp_path, objective, max_evals=None, stages=stages, pruner=pruner)
    assert [trial.state for trial in state.trials] == [*["done"] * 5, "pruned", *["done"] * 3]


def test_folders_of_interrupted_trials_are_not_read(tmp_path):
    (tmp_path / "3.interrupted-1").mkdir(parents=True)
    (tmp_path / "3.interrupted-1" / "intermediate.jsonl").write_text("not json\n")

    def objective(params):
        report(params["x"])
        return params["x"]

    state = sweep(tmp_path, objective, max_evals=5, pruner=PrunerSettings(kind="asha"))
    assert [trial.state for trial in state.trials] == ["done", "done", "pruned", "pruned", "pruned"]


def test_hyperband_without_the_reports_of_a_whole_trial_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"search\.pruner\.max_reports: missing"):
        sweep(tmp_path, lambda params: 1.0, pruner=PrunerSettings(kind="hyperband"))


def test_a_growing_file_gives_whole_lines_once(tmp_path):
    path = tmp_path / "lines"
    file = GrowingFile(path)
    assert file.new_rows(bytes) == []
    path.write_bytes(b"one\ntw")
    assert file.new_rows(bytes) == [b"one"]
    assert file.new_rows(bytes) == []
    with open(path, "ab") as more:
        more.write(b"o\nthree\n")
    assert file.new_rows(bytes) == [b"two", b"three"]
    os.rename(path, tmp_path / "old")
    path.write_bytes(b"another file, and a longer one\n")
    assert file.new_rows(bytes) == [b"another file, and a longer one"]
    assert file.was_replaced


def test_a_report_reads_of_its_siblings_only_what_is_new(tmp_path, monkeypatch):
    def objective(params):
        report(params["x"])
        return params["x"]

    sweep(tmp_path, objective, max_evals=30)
    reports = SweepReports(tmp_path)
    assert len(reports.siblings(29)) == 29
    opened = []
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: opened.append(args))
    assert len(reports.siblings(29)) == 29
    assert opened == []


def test_a_step_that_is_reported_again_is_what_was_reported_last(tmp_path):
    for step, value in [(1, 5.0), (2, 4.0), (1, 3.0)]:
        append_report(tmp_path, 0, step, value)
    found = SweepReports(tmp_path).of(0)
    assert (dict(found.values), list(found.values), found.count) == ({2: 4.0, 1: 3.0}, [2, 1], 3)


def test_a_report_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "0").write_text("in the way")
    with pytest.raises(StorageError, match=r"intermediate\.jsonl"):
        append_report(tmp_path, 0, 1, 1.0)


JOB = """
import json, sys
from pathlib import Path
import hydra
from hft.search import current_trial, report

@hydra.main(version_base="1.3", config_path=None)
def main(config):
    trial = current_trial()
    if trial is None:
        print("no trial")
        return
    report(config.x)
    print(json.dumps([trial.number, str(trial.folder), str(trial.sweep_folder), trial.is_search]))

main()
"""


@pytest.mark.parametrize("chdir", ["true", "false"])
def test_a_hydra_job_knows_its_trial_whatever_its_folder(tmp_path, chdir):
    (tmp_path / "job.py").write_text(JOB)
    sweep(tmp_path / "sweeps" / "one", lambda params: 1.0, max_evals=1)
    command = [sys.executable, "job.py", "-m", "+x=1,2", f"hydra.job.chdir={chdir}", "hydra.sweep.subdir=x${x}"]
    done = subprocess.run(
        [*command, "hydra.sweep.dir=sweeps/one"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[") and "HYDRA" not in line]
    root = tmp_path / "sweeps" / "one"
    assert found == [[0, str(root / "x1"), str(root), True], [1, str(root / "x2"), str(root), True]]
    assert last_report(root, 1)[1] == 2.0


def test_a_hydra_job_outside_of_our_sweeps_has_no_trial(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    for arguments in (["-m", "+x=1,2"], ["+x=1"]):
        done = subprocess.run(
            [sys.executable, "job.py", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "no trial" in done.stdout
    assert list(tmp_path.rglob("intermediate.jsonl")) == []


def test_what_was_read_of_another_sweep_is_forgotten(tmp_path):
    def objective(params):
        report(params["x"])
        return params["x"]

    sweep(tmp_path / "one", objective)
    sweep(tmp_path / "two", objective)
    assert list(current_module._cached) == [tmp_path / "two"]
