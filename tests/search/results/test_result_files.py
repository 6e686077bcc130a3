"""Tables, optimization_results.yaml, the summary, and which weights stay."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from rich.console import Console

from hft.errors import StorageError
from hft.search.hooks import SweepState
from hft.search.results import trials_table
from hft.search.results.keep_models import KeepModels
from hft.search.results.ranking import ranked, short_names
from hft.search.results.result_files import ResultFiles
from hft.search.results.summary import failure_kinds, print_summary, summary_dict
from hft.search.results.trials_table import read_trials_table
from hft.search.results.values_as_text import typed_params
from hft.search.specs import RawValue
from hft.search.trial import Trial
from sweep_states import mixed_trials, sweep_state

NASTY = [
    "a,b", 'say "x"', "two\nlines", "carriage\rreturn", " blank ", "", "null", "true", "12", "1e-3", "NaN", "[1]", "{}",
    "=1+1", "it's", "back\\slash", "中文", '"quoted"', "tab\there",
]  # fmt: skip
VALUES = [*NASTY, None, True, 0, 1, 1.0, 1e-300, [1, "1", None, [True]], []]


def written(state: SweepState) -> list[dict]:
    ResultFiles(pictures=False).on_end(state)
    return read_trials_table(state.folder / "trials.csv")


def text_of(state: SweepState, width: int = 100, **commands: str) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(state, console, **commands)
    return console.file.getvalue()


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_reads_back_from_the_table(tmp_path, value):
    state = sweep_state(tmp_path, [Trial(0, {"key": value}, "failed", reason='no, "it" failed\nbadly')], {"key": ["x"]})
    row = written(state)[0]
    assert (row["key"], type(row["key"])) == (value, type(value))
    assert row["reason"] == 'no, "it" failed\nbadly'


RAW = {
    "0": 0, "0.5": 0.5, "true": True, "null": None, "infonce": "infonce", "'0'": "0", "[1,'1',x]": [1, "1", "x"],
    "{a:1}": {"a": 1}, "'${lr}'": "${lr}", "1e-3": 1e-3, "'a=b, c'": "a=b, c", "[": "[",
}  # fmt: skip


@pytest.mark.parametrize("text", RAW)
def test_a_value_in_the_grammar_is_the_value_that_it_stands_for(tmp_path, text):
    state = sweep_state(tmp_path, [Trial(0, {"key": RawValue(text)}, "failed", reason="no")], {"key": ["x"]})
    found = written(state)[0]["key"]
    assert (found, type(found)) == (RAW[text], type(RAW[text]))
    assert typed_params({"key": text}) == {"key": text}


def test_the_table_has_a_column_a_parameter_and_no_cell_for_what_is_absent(tmp_path):
    trials = mixed_trials(12)
    rows = written(sweep_state(tmp_path, trials))
    header = (tmp_path / "trials.csv").read_text().splitlines()[0].split(",")
    assert header == [
        "number", "state", "stage", "ndcg@10", "params.items_lr", "params.num_fixed_layers", "loss", "params.margin",
        "optimizer", "params.examples_order", "seconds", "started", "source", "known_from", "reason", "folder",
    ]  # fmt: skip
    for row, trial in zip(rows, trials, strict=True):
        assert {key: row[key] for key in trial.params} == trial.params
        assert ("params.margin" in row) == ("params.margin" in trial.params)
        assert ("ndcg@10" in row) == bool(trial.values)
        assert row["folder"] == str(trial.number)
    assert rows[7]["known_from"] == "run 12f1bffb"


def test_columns_keep_apart_what_is_called_alike(tmp_path):
    trials = [Trial(0, {"state": "Ohio", "loss": "a"}, "done", values=(0.5,))]
    state = sweep_state(tmp_path, trials, {"state": ["Ohio"], "loss": ["a"]}, metric=("loss",))
    row = written(state)[0]
    assert (row["state"], row["state (parameter)"], row["loss"], row["loss (parameter)"]) == ("done", "Ohio", 0.5, "a")


def test_folders_are_relative_to_the_sweep(tmp_path):
    folders = [str(tmp_path / "sweep" / "0"), "1", str(tmp_path / "other" / "run"), None]
    trials = [Trial(number, {"x": number}, "done", values=(0.5,), folder=f) for number, f in enumerate(folders)]
    rows = written(sweep_state(tmp_path / "sweep", trials, {"x": [0, 1, 2, 3]}))
    assert [row.get("folder") for row in rows] == ["0", "1", "../other/run", None]


def test_optimization_results_have_the_shape_that_scripts_expect(tmp_path):
    params = {"lr": 1e-05, "name": "1e-3", "raw": RawValue("[a]"), "none": None, "words": ["a", "12"]}
    state = sweep_state(tmp_path, [Trial(0, params, "done", values=(0.25,))], {"lr": [1e-05]})
    ResultFiles(name="hft_hyperopt", pictures=False).on_end(state)
    path = tmp_path / "optimization_results.yaml"
    for found in (yaml.safe_load(path.read_text()), OmegaConf.to_container(OmegaConf.load(path))):
        assert found["name"] == "hft_hyperopt"
        assert found["best_evaluated_params"] == found["best_params"] == {**params, "raw": ["a"]}
        assert found["best_evaluated_result"] == found["best_value"] == 0.25
        assert (found["trials"], found["done"], found["failed"]) == (1, 1, 0)


def test_optimization_results_of_several_metrics_are_the_front(tmp_path):
    values = [(0.5, 10.0), (0.6, 20.0), (0.4, 30.0)]
    trials = [Trial(number, {"x": number}, "done", values=value) for number, value in enumerate(values)]
    state = sweep_state(tmp_path, trials, {"x": [0, 1, 2]}, metric=("a", "b"), direction=("maximize", "minimize"))
    ResultFiles(pictures=False).on_end(state)
    found = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert found["solutions"] == [
        {"params": {"x": 0}, "values": [0.5, 10.0]},
        {"params": {"x": 1}, "values": [0.6, 20.0]},
    ]
    assert "best_params" not in found


def test_a_sweep_without_a_done_trial_has_tables_and_no_best(tmp_path):
    state = sweep_state(tmp_path, [Trial(0, {"x": 1}, "failed", reason="no")], {"x": [1]}, ended="failures")
    assert written(state)[0]["state"] == "failed"
    assert yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())["best_evaluated_params"] is None
    assert summary_dict(state)["best"] is None


def test_a_sweep_without_trials_leaves_no_file(tmp_path):
    ResultFiles(pictures=False).on_end(sweep_state(tmp_path, []))
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_returns_nothing_has_no_value(tmp_path):
    state = replace(sweep_state(tmp_path, [Trial(0, {"x": 1}, "done")], {"x": [1]}, ended="exhausted"), is_search=False)
    assert "ndcg@10" not in written(state)[0]
    assert "No job returned a value" in text_of(state)


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "trials.csv").mkdir()
    with pytest.raises(StorageError, match=r"trials\.csv"):
        ResultFiles(pictures=False).on_end(sweep_state(tmp_path, mixed_trials(2)))


def test_the_row_of_a_trial_that_has_ended_is_made_once(tmp_path, monkeypatch):
    trials, made, files = mixed_trials(200), [], ResultFiles(pictures=False)
    row_of = trials_table._row
    monkeypatch.setattr(trials_table, "_row", lambda *given: made.append(given[1].number) or row_of(*given))
    for ended in (199, 199, 200):
        state = sweep_state(tmp_path, trials[:ended])
        files.on_trial_end(state.trials[-1], state)
    assert made == list(range(200))
    assert len(read_trials_table(tmp_path / "trials.csv")) == 200


def test_trials_of_the_last_stage_are_ranked_first_of_equal_ones_first(tmp_path):
    values = [(0, 0.9), (1, 0.2), (1, 0.4), (1, 0.4)]
    trials = [Trial(n, {"x": n}, "done", stage=stage, values=(value,)) for n, (stage, value) in enumerate(values)]
    trials.append(Trial(4, {"x": 4}, "pruned", stage=1, values=(0.99,)))
    space = {"x": [0, 1, 2, 3, 4]}
    assert [trial.number for trial in ranked(sweep_state(tmp_path, trials, space))] == [2, 3, 1]
    lowest = sweep_state(tmp_path, trials, space, direction=("minimize",))
    assert [trial.number for trial in ranked(lowest)] == [1, 2, 3]


def test_short_names_are_as_long_as_it_takes():
    keys = ["a.lr", "b.lr", "+c.margin", "loss", "data/splitter", "x.loss"]
    assert list(short_names(keys).values()) == ["a.lr", "b.lr", "margin", "loss", "data/splitter", "x.loss"]


def test_the_summary_says_what_came_of_it(tmp_path):
    state = sweep_state(tmp_path, mixed_trials(30), ended="budget", max_evals=30)
    text = text_of(state, winner_command="hft train winner=best", resume_command="hft train -m search.max_evals=60")
    assert "the budget is used up" in text
    assert "30 trials: 20 done, 6 pruned, 3 failed, 1 from the record" in text
    assert state.best is not None
    assert f"Best: trial {state.best.number}" in text
    assert "higher is better" in text
    assert "3 x ValueError: batch 4 is not finite" in text
    assert "Train the winner\nhft train winner=best\n" in text
    assert "Extend\nhft train -m search.max_evals=60\n" in text


@pytest.mark.parametrize("width", [10, 40, 110])
def test_what_is_copied_from_the_summary_is_not_broken(tmp_path, width):
    state = sweep_state(tmp_path / ("a long name " * 15).strip(), mixed_trials(30), ended="budget")
    command = f"python app.py --config-dir '{state.folder}/conf' +winner=best"
    lines = text_of(state, width, winner_command=command, winner_label="Run", resume_command=f"more {command}")
    assert {str(state.folder), command, f"more {command}"} <= set(lines.splitlines())


def test_the_stage_has_the_number_that_it_has_in_the_table(tmp_path):
    trials = [Trial(n, {"x": n}, "done", stage=n, values=(0.5,)) for n in range(2)]
    state = sweep_state(tmp_path, trials, {"x": [0, 1]}, stages=[{"max_evals": 1}, {"max_evals": 1}])
    assert written(state)[1]["stage"] == 1
    assert "Best: trial 1  stage 1" in text_of(state)


def test_one_trial_is_no_trials(tmp_path):
    trials = [Trial(0, {"x": 1}, "done", values=(0.5,)), Trial(1, {"x": 2}, "failed", reason="no")]
    assert "1 trial: 1 done;" in text_of(sweep_state(tmp_path, trials[:1], {"x": [1]}, ended="budget"))
    text = text_of(sweep_state(tmp_path, trials, {"x": [1]}, ended="budget"))
    assert re.search(r"^Failed  1 trial *$", text, re.MULTILINE)
    ResultFiles(pictures=False).on_end(sweep_state(tmp_path, trials, {"x": [1]}))
    assert "best of 1 done trial (2 in all)" in (tmp_path / "conf" / "winner" / "best.yaml").read_text()


def test_the_ranking_shows_what_differs_and_the_best_all(tmp_path):
    trials = [Trial(n, {"same": 7, "x": n}, "done", values=(0.5,)) for n in range(3)]
    best, ranking = text_of(sweep_state(tmp_path, trials, {"x": [0, 1, 2]}, ended="budget")).split("The best 3")
    assert "same" in best
    assert "same" not in ranking
    assert "x=2" in ranking


def test_a_front_of_one_is_a_table_too(tmp_path):
    trials = [Trial(n, {"x": n}, "done", values=(0.5 + n, 3.0 - n)) for n in range(2)]
    state = sweep_state(tmp_path, trials, {"x": [0, 1]}, metric=("a", "b"), direction=("maximize", "minimize"))
    text = text_of(state).split("The front  no other trial is better in every metric")[1]
    assert "1.500   2.000" in text


def test_no_file_waits_for_the_disk(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr("os.fsync", waited.append)
    ResultFiles().on_end(sweep_state(tmp_path, mixed_trials(12), ended="budget"))
    assert {"trials.csv", "optimization_results.yaml", "conf", "pictures"} <= {path.name for path in tmp_path.iterdir()}
    assert waited == []


def test_the_summary_is_json(tmp_path):
    trials = [*mixed_trials(30), Trial(30, {"x": RawValue("a")}, "done", values=(0.9,))]
    found = json.loads(json.dumps(summary_dict(sweep_state(tmp_path, trials, ended="timeout"))))
    assert (found["ended"], found["trials"], found["known"]) == ("timeout", 31, 1)
    assert found["best"] == found["top"][0]
    assert found["best"]["params"] == {"x": "a"}
    assert [len(found["top"]), found["front"]] == [5, []]


def test_the_summary_of_several_metrics_shows_the_front(tmp_path):
    settings = {"metric": ("ndcg@10", "latency_ms"), "direction": ("maximize", "minimize")}
    state = sweep_state(tmp_path, mixed_trials(40, 2, seed=3), ended="budget", **settings)
    assert len(state.front) > 1
    text = text_of(state)
    assert f"First of the front of {len(state.front)}" in text
    assert "latency_ms" in text
    assert [row["number"] for row in summary_dict(state)["front"]] == [trial.number for trial in state.front]


@pytest.mark.parametrize("width", [20, 40, 200])
def test_the_summary_survives_nasty_words_and_any_width(tmp_path, width):
    params = {f"[bold]{number}": value for number, value in enumerate(NASTY)}
    trials = [Trial(0, params, "done", values=(0.1,)), Trial(1, params, "failed", reason="[/red] [x] \n" * 50)]
    text = text_of(sweep_state(tmp_path, trials, {"x": [1]}, ended="failures"), width)
    assert "[bold]" in text.replace("\n", "")


def test_failures_that_differ_in_numbers_alone_are_one(tmp_path):
    reasons = ["CUDA: 12 MiB missing", "CUDA: 7 MiB missing", "ValueError: x", None, "CUDA: 1 MiB missing"]
    trials = [Trial(n, {"x": n}, "failed", reason=reason, folder=str(n)) for n, reason in enumerate(reasons)]
    kinds = failure_kinds(sweep_state(tmp_path, trials, {"x": [0, 1, 2, 3, 4]}))
    assert [(kind.count, kind.number) for kind in kinds] == [(3, 0), (1, 2), (1, 3)]
    assert kinds[0].folder == tmp_path / "0"


def with_models(tmp_path: Path, trials: list[Trial]) -> list[Trial]:
    for trial in trials:
        (tmp_path / str(trial.number) / "model").mkdir(parents=True)
        (tmp_path / str(trial.number) / "model" / "weights").write_text("w")
        (tmp_path / str(trial.number) / "report.json").write_text("{}")
    return [replace(trial, folder=str(tmp_path / str(trial.number))) for trial in trials]


def models(tmp_path: Path) -> set[int]:
    return {int(path.parent.name) for path in tmp_path.glob("*/model")}


def test_the_best_weights_stay_and_nothing_else_is_touched(tmp_path):
    values = [0.1, 0.5, 0.3, 0.5, 0.2]
    trials = with_models(tmp_path, [Trial(n, {"x": n}, "done", values=(v,)) for n, v in enumerate(values)])
    state = sweep_state(tmp_path, trials, {"x": [0, 1, 2, 3, 4]}, keep_models=2)
    KeepModels().on_trial_end(trials[-1], state)
    assert models(tmp_path) == {1, 3}
    assert len(list(tmp_path.glob("*/report.json"))) == 5


def test_weights_go_as_soon_as_they_are_beaten(tmp_path):
    keep, trials, left = KeepModels(), [], []
    for number, value in enumerate([0.5, 0.4, 0.6, 0.3]):
        trials += with_models(tmp_path, [Trial(number, {"x": number}, "done", values=(value,))])
        state = sweep_state(tmp_path, trials, {"x": [0, 1, 2, 3]}, direction=("minimize",))
        keep.on_trial_end(trials[-1], state)
        left.append(models(tmp_path))
    assert left == [{0}, {1}, {1}, {3}]


def test_what_runs_is_not_touched_and_what_failed_is_cleaned_up(tmp_path):
    states = ["running", "failed", "pruned", "done"]
    trials = [Trial(n, {"x": n}, state, values=(0.5,) if state == "done" else ()) for n, state in enumerate(states)]
    state = sweep_state(tmp_path, with_models(tmp_path, trials), {"x": [0, 1, 2, 3]})
    KeepModels().on_start(state, resumed=True)
    assert models(tmp_path) == {0, 3}


def test_a_later_stage_takes_the_places_of_an_earlier_one(tmp_path):
    trials = with_models(
        tmp_path, [Trial(n, {"x": n}, "done", stage=n // 2, values=(1.0 - n / 10,)) for n in range(4)]
    )  # fmt: skip
    space = {"x": [0, 1, 2, 3]}
    KeepModels().on_trial_end(trials[2], sweep_state(tmp_path, trials[:3], space, keep_models=2))
    assert models(tmp_path) == {0, 2, 3}
    KeepModels().on_trial_end(trials[3], sweep_state(tmp_path, trials, space, keep_models=2))
    assert models(tmp_path) == {2, 3}


def test_a_run_that_a_trial_was_answered_from_is_never_touched(tmp_path):
    outside = with_models(tmp_path / "runs", [Trial(7, {}, "done")])[0].folder
    own = with_models(tmp_path / "sweep", [Trial(0, {"x": 0}, "done", values=(0.5,))])
    trials = [
        *own,
        Trial(1, {"x": 1}, "done", values=(0.1,), known_from="run 7", folder=outside),
        Trial(2, {"x": 0}, "done", values=(0.4,), known_from="trial 0", folder=own[0].folder),
    ]
    KeepModels().on_trial_end(trials[-1], sweep_state(tmp_path / "sweep", trials, {"x": [0, 1]}))
    assert models(tmp_path / "sweep") == {0}
    assert models(tmp_path / "runs") == {7}


def test_absent_folders_and_those_outside_of_the_sweep_are_let_be(tmp_path):
    outside = with_models(tmp_path / "elsewhere", [Trial(0, {"x": 0}, "done", values=(0.1,))])
    trials = [
        *outside,
        Trial(1, {"x": 1}, "done", values=(0.9,)),
        Trial(2, {"x": 2}, "done", values=(0.2,), folder="2"),
    ]
    KeepModels().on_end(sweep_state(tmp_path / "sweep", trials, {"x": [0, 1, 2]}))
    assert models(tmp_path / "elsewhere") == {0}


def test_a_link_is_removed_and_not_what_it_points_to(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "weights").write_text("w")
    (tmp_path / "sweep" / "0").mkdir(parents=True)
    (tmp_path / "sweep" / "0" / "model").symlink_to(tmp_path / "base")
    trials = [Trial(0, {"x": 0}, "failed", folder="0"), Trial(1, {"x": 1}, "done", values=(0.9,))]
    KeepModels().on_end(sweep_state(tmp_path / "sweep", trials, {"x": [0, 1]}))
    assert not (tmp_path / "sweep" / "0" / "model").is_symlink()
    assert (tmp_path / "base" / "weights").exists()


def test_what_cannot_be_removed_is_said_and_tried_again(tmp_path, monkeypatch):
    trials = with_models(tmp_path, [Trial(n, {"x": n}, "done", values=(0.5,)) for n in range(2)])
    state, said = sweep_state(tmp_path, trials, {"x": [0, 1]}), []
    keep = KeepModels(say=said.append)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        keep.on_trial_end(trials[1], state)
    assert said == [f"{tmp_path / '1' / 'model'} is not removed: Permission denied"]
    keep.on_end(state)
    assert models(tmp_path) == {0}


def test_a_table_renewed_after_every_trial_is_the_table_written_once(tmp_path):
    trials = [*mixed_trials(8), Trial(8, {"loss": "infonce", "a.new.key": 1}, "done", values=(0.5,))]
    renewed = ResultFiles(pictures=False)
    for count, trial in enumerate(trials):
        running = replace(trial, state="running", values=(), reason=None, folder=None)
        renewed.on_trial_end(trial, sweep_state(tmp_path, [*trials[:count], running]))
        renewed.on_trial_end(trial, sweep_state(tmp_path, trials[: count + 1]))
    text = (tmp_path / "trials.csv").read_text(encoding="utf-8")
    written(sweep_state(tmp_path, trials))
    assert text == (tmp_path / "trials.csv").read_text(encoding="utf-8")
    assert "running" not in text
