"""What happens when a sweep's folder has a past: going on, refusing, and never overwriting."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys

import pytest

import cheap_sweep
from hft.checksums import sealed_row, unsealed_row
from hft.errors import ConfigError, StorageError
from hft.search import FunctionLauncher, PrunerSettings, SearchSettings, SearchSpace, Stage, Sweep, SweepHooks
from hft.search.loop.journal import JOURNAL_NAME, Ask, read_events
from waiting import wait_until

SPACE = SearchSpace.parse({"x": {"low": 0.0, "high": 1.0}, "kind": ["a", "b"]})


def square(params):
    return (params["x"] - 0.3) ** 2


def sweep(folder, objective=square, *, space=SPACE, engine="hyperopt", hooks=None, fixed=(), queue=(), **settings):
    settings.setdefault("max_evals", 4)
    launcher = FunctionLauncher(objective, settings.get("n_parallel", 1))
    made = SearchSettings(**settings)
    return Sweep(folder, space, made, engine=engine, launcher=launcher, hooks=hooks, fixed=fixed, queue=queue)


def identities(state):
    return [cheap_sweep.identity(trial) for trial in state.trials]


def test_a_finished_sweep_started_again_runs_nothing(tmp_path):
    first = sweep(tmp_path).run()
    before = (tmp_path / JOURNAL_NAME).read_bytes()

    def never(params):
        raise AssertionError("ran")

    again = sweep(tmp_path, never).run()
    assert (again.trials, again.best, again.ended) == (first.trials, first.best, "budget")
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before


@pytest.mark.parametrize("engine", ["hyperopt", "optuna"])
def test_with_a_larger_budget_it_goes_on_as_if_it_had_it_from_the_start(engine, tmp_path):
    sweep(tmp_path / "grown", engine=engine, max_evals=5).run()
    grown = sweep(tmp_path / "grown", engine=engine, max_evals=25, n_parallel=1, keep_models=3).run()
    whole = sweep(tmp_path / "whole", engine=engine, max_evals=25).run()
    assert identities(grown) == identities(whole)
    header = json.loads((tmp_path / "grown" / "sweep.json").read_text())
    assert header["settings"]["max_evals"] == 25


class StopAfter(SweepHooks):
    """Ctrl-C as a trial begins."""

    def __init__(self, number):
        self.number, self.ended = number, []

    def on_trial_start(self, trial, state):
        if trial.number == self.number:
            raise KeyboardInterrupt

    def on_end(self, state):
        self.ended.append(state.ended)


@pytest.mark.parametrize("engine", ["hyperopt", "optuna"])
def test_stages_go_on_where_they_were_stopped(engine, tmp_path):
    stages = [Stage(max_evals=6), Stage(max_evals=6, around_best=0.3)]
    whole = sweep(tmp_path / "whole", engine=engine, stages=stages, max_evals=None).run()
    for number in (3, 6, 9):
        hooks = StopAfter(number)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path / "stopped", engine=engine, stages=stages, max_evals=None, hooks=hooks).run()
        assert hooks.ended == ["stopped"]
    resumed = sweep(tmp_path / "stopped", engine=engine, stages=stages, max_evals=None).run()
    assert identities(resumed) == identities(whole)
    assert next(trial.source for trial in whole.trials if trial.stage == 1) == "enqueued"


def test_ctrl_c_ends_the_hooks_and_comes_through(tmp_path):
    hooks = StopAfter(2)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, hooks=hooks).run()
    assert hooks.ended == ["stopped"]
    assert [event.number for event in read_events(tmp_path)] == [0, 0, 1, 1, 2]


def test_the_folder_of_an_interrupted_trial_is_kept_under_another_name(tmp_path):
    for attempt in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path, hooks=StopAfter(1)).run()
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "weights").write_text(f"of attempt {attempt}")
    state = sweep(tmp_path).run()
    assert (tmp_path / "1.interrupted-1" / "weights").read_text() == "of attempt 1"
    assert (tmp_path / "1.interrupted-2" / "weights").read_text() == "of attempt 2"
    assert not (tmp_path / "1").exists()
    assert len(state.trials) == 4


def test_trials_in_flight_are_all_that_a_parallel_sweep_loses(tmp_path):
    command = [sys.executable, "-c", PARALLEL, str(tmp_path)]
    process = subprocess.Popen(command)
    journal = tmp_path / JOURNAL_NAME
    wait_until(lambda: process.poll() is not None or (journal.exists() and journal.read_bytes().count(b"\n") >= 12))
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = read_events(tmp_path)
    told = {event.number: event for event in before if not isinstance(event, Ask)}
    asked = {event.number: event.params for event in before if isinstance(event, Ask)}

    trials = len(asked) + 5
    state = cheap_sweep.run(tmp_path, "hyperopt", trials, n_parallel=3)

    assert len(state.trials) == trials
    assert len(asked) - len(told) <= 3
    for number, event in told.items():
        assert state.trials[number].values == event.outcome.values
    assert all(state.trials[number].params == params for number, params in asked.items())


PARALLEL = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
import cheap_sweep
cheap_sweep.run(Path(sys.argv[1]), "hyperopt", 10_000, 0.02, n_parallel=3)
"""


def test_another_answer_of_the_engine_is_noted_and_the_record_kept(tmp_path):
    sweep(tmp_path, max_evals=3).run()
    lines = (tmp_path / JOURNAL_NAME).read_text().splitlines()
    ask = json.loads(unsealed_row(lines[2].encode()))
    ask["params"]["x"] = 0.123
    (tmp_path / JOURNAL_NAME).write_text("\n".join([*lines[:2], sealed_row(json.dumps(ask)), *lines[3:]]) + "\n")
    state = sweep(tmp_path, max_evals=6).run()
    assert state.trials[1].params["x"] == 0.123
    assert [note for note in state.notes if "does not answer as it did" in note] == list(state.notes) != []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space": SearchSpace.parse({"x": {"low": 0.0, "high": 2.0}, "kind": ["a", "b"]})}, "space: x: .*1.0.*2.0"),
        ({"space": SearchSpace.parse({"x": {"low": 0.0, "high": 1.0}})}, "space: kind"),
        ({"engine": "optuna"}, 'engine: "hyperopt" -> "optuna"'),
        ({"algorithm": "random"}, 'algorithm: "tpe" -> "random"'),
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"direction": ("maximize",)}, "direction:"),
        ({"metric": ("accuracy",)}, "metric:"),
        ({"pruner": PrunerSettings(kind="asha")}, "pruner: null ->"),
        ({"stages": [Stage(max_evals=3)]}, "stages:"),
        ({"fixed": ["data.batch_id=2"]}, "fixed: with data.batch_id=2"),
        ({"queue": [{"x": 0.5, "kind": "a"}]}, "to begin with"),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused_with_what_differs(tmp_path, changes, said):
    sweep(tmp_path).run()
    before = (tmp_path / JOURNAL_NAME).read_bytes()
    with pytest.raises(ConfigError, match=said) as caught:
        sweep(tmp_path, **changes).run()
    assert str(tmp_path) in str(caught.value)
    assert "hydra.sweep.dir" in str(caught.value)
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before


def test_the_default_algorithm_by_its_name_is_the_same_sweep(tmp_path):
    sweep(tmp_path).run()
    assert sweep(tmp_path, algorithm="tpe", max_evals=5).run().ended == "budget"


def test_the_last_stage_may_have_a_larger_budget(tmp_path):
    stages = [Stage(max_evals=2), Stage(max_evals=2)]
    sweep(tmp_path, stages=stages, max_evals=None).run()
    stages[1] = Stage(max_evals=4)
    assert len(sweep(tmp_path, stages=stages, max_evals=None).run().trials) == 6


def test_a_header_without_a_trial_binds_nobody(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, hooks=_InterruptedAtOnce()).run()
    assert (tmp_path / "sweep.json").exists()
    assert len(sweep(tmp_path, seed=9).run().trials) == 4


class _InterruptedAtOnce(SweepHooks):
    def on_start(self, state, *, resumed):
        raise KeyboardInterrupt


def test_a_journal_without_a_header_is_refused(tmp_path):
    sweep(tmp_path).run()
    (tmp_path / "sweep.json").unlink()
    with pytest.raises(ConfigError, match=r"no sweep\.json"):
        sweep(tmp_path).run()


@pytest.mark.parametrize(
    ("content", "said"), [("{", "cannot be read"), ('{"schema_version": 99}', "schema_version is 99"), ("3", "is 3")]
)
def test_a_header_that_is_none_is_refused(tmp_path, content, said):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        sweep(tmp_path).run()


LOCKED = """
import sys, time
from pathlib import Path
from hft.search.loop.sweep_folder import sweep_lock
with sweep_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_sweep_that_another_process_runs_is_refused_until_that_is_killed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", LOCKED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(ConfigError, match=f"pid {process.pid} on ") as caught:
        sweep(tmp_path).run()
    assert str(tmp_path) in str(caught.value)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert sweep(tmp_path).run().ended == "budget"


def test_a_full_disk_stops_the_sweep_with_a_whole_journal(tmp_path, monkeypatch):
    write = os.write
    room = [700]

    def write_until_full(descriptor, content):
        if b'"event"' not in content and room[0] > 0:
            return write(descriptor, content)
        if room[0] <= 0:
            raise OSError(28, "No space left on device")
        room[0] -= len(content)
        return write(descriptor, content if room[0] > 0 else content[:20])

    monkeypatch.setattr(os, "write", write_until_full)
    closed = []
    stopped = sweep(tmp_path)
    monkeypatch.setattr(stopped._launcher, "close", lambda: closed.append(True))
    with pytest.raises(StorageError, match=r"trials\.jsonl: cannot be written: No space left"):
        stopped.run()
    monkeypatch.undo()
    assert closed == [True]
    assert (tmp_path / JOURNAL_NAME).read_bytes().endswith(b"}\n")
    whole = sweep(tmp_path / "whole").run()
    assert identities(sweep(tmp_path).run()) == identities(whole)


def test_known_answers_are_the_same_after_a_resume(tmp_path):
    small = SearchSpace.parse({"n": [1, 2, 3], "kind": ["a", "b"]})

    def objective(params):
        return math.nan if params["n"] == 2 else float(params["n"])

    whole = sweep(tmp_path / "whole", objective, space=small, max_evals=6).run()
    for number in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path / "stopped", objective, space=small, max_evals=6, hooks=StopAfter(number)).run()
    assert identities(sweep(tmp_path / "stopped", objective, space=small, max_evals=6).run()) == identities(whole)
