"""Searches as a user has them: `hft train -m` to its budget, killed and started again, from iteration to iteration."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hft.cli import main
from hft.experiments import RunRecord, load_record
from hft.search.results.trials_table import read_trials_table
from small_collections import items, sessions, write_lines
from waiting import wait_until

SPACE = """# hft train -m search=mine
defaults: [none, _self_]
space:
  loss: [infonce, prob_margin]
  loss.temperature: {low: 0.02, high: 0.2, log: true, when: {loss: infonce}}
  params.margin: {choices: [0.01, 0.02], when: {loss: prob_margin}}
  params.items_lr: {low: 1.0e-4, high: 1.0e-2, log: true}
max_evals: 4
"""


@pytest.fixture
def own_space(place: Path) -> Path:
    """A space of the user's own, `search=mine`, with a condition."""
    path = place / "conf" / "search" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(SPACE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides that read sessions of three batches."""
    folder = tmp_path_factory.mktemp("batches")
    rows = [
        {**session, "session_id": f"{batch}-{session['session_id']}", "batch_id": batch}
        for batch in ("may", "june", "july")
        for session in sessions()
    ]
    paths = write_lines(folder / "sessions.jsonl", rows), write_lines(folder / "items.jsonl", items())
    return ["data=sessions", f"data.source.sessions={paths[0]}", f"data.source.items={paths[1]}"]


def search(*overrides: str) -> int:
    """`hft train -m`."""
    return main(["train", "-m", *overrides])


def trials_of(folder: Path) -> list[tuple[object, ...]]:
    """Of each trial all that a repetition must repeat."""
    told = (json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines())
    asked, values = {}, {}
    for event in told:
        if event["event"] == "ask":
            asked[event["number"]] = event["params"]
        else:
            values[event["number"]] = (event["state"], tuple(event["values"]))
    return [(number, params, *values[number]) for number, params in sorted(asked.items())]


def sweeps(place: Path) -> list[Path]:
    """Folders of the sweeps, the first one first."""
    return sorted((path.parent for path in place.rglob("sweep.json")), key=lambda path: path.stat().st_mtime)


def winner_of(sweep: Path) -> RunRecord:
    best = json.loads((sweep / "summary.json").read_text(encoding="utf-8"))["best"]
    return load_record(sweep / best["folder"])


def test_a_search_runs_to_its_budget_and_reads_test_once_for_its_best(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(*small_run, "params.num_fixed_layers=0,1", "search=initial", "search.max_evals=3") == 0
    [sweep] = sweeps(place)
    trials = read_trials_table(sweep / "trials.csv")
    assert [trial["state"] for trial in trials] == ["done"] * 3
    best = max(trials, key=lambda trial: trial["validation_ndcg@10"])
    with_test = [number for number in range(3) if (sweep / str(number) / "report.json").exists()]
    assert with_test == [best["number"]]
    assert "test_ndcg@10" in winner_of(sweep).results.metrics
    printed = capsys.readouterr().out
    assert f"Best: trial {best['number']}" in printed
    assert "read once, for the best of 3 trials" in printed


def test_the_winners_config_gives_the_winners_run(place: Path, small_run: list[str], own_space: Path) -> None:
    assert search(*small_run, "search=mine", "search.max_evals=3") == 0
    [sweep] = sweeps(place)
    assert main(["train", "--config-dir", str(sweep / "conf"), "winner=best"]) == 0
    [again] = [load_record(path) for path in place.rglob("run.yaml") if sweep not in path.parents]
    assert again.results.weights == winner_of(sweep).results.weights
    assert again.results.metrics["test_ndcg@10"] == winner_of(sweep).results.metrics["test_ndcg@10"]


@pytest.mark.parametrize("sweeper", ["hft_hyperopt", "hft_optuna"])
def test_conditional_parameters_are_absent_unless_their_condition_holds(
    place: Path, small_run: list[str], own_space: Path, sweeper: str
) -> None:
    assert search(*small_run, "search=mine", "search.max_evals=5", f"hydra/sweeper={sweeper}") == 0
    [sweep] = sweeps(place)
    for _, params, state, _ in trials_of(sweep):
        assert state == "done"
        is_infonce = params["loss"] == "infonce"  # type: ignore[index]
        assert ("loss.temperature" in params, "params.margin" in params) == (is_infonce, not is_infonce)  # type: ignore[operator]


def test_a_space_from_the_command_line_alone(place: Path, small_run: list[str]) -> None:
    lr = "params.items_lr=tag(log,interval(1e-4,1e-2))"
    assert search(*small_run, "search=none", lr, "loss=infonce,prob_margin", "search.max_evals=3") == 0
    [sweep] = sweeps(place)
    assert all(set(params) == {"params.items_lr", "loss"} for _, params, *_ in trials_of(sweep))  # type: ignore[call-overload]


def test_a_second_start_adds_nothing_and_a_larger_budget_goes_on(place: Path, small_run: list[str]) -> None:
    request = [*small_run, "search=none", "params.items_lr=tag(log,interval(1e-4,1e-2))"]
    assert search(*request, "search.max_evals=2") == 0
    [sweep] = sweeps(place)
    first = trials_of(sweep)
    assert search(*request, "search.max_evals=2") == 0
    assert trials_of(sweep) == first
    assert search(*request, "search.max_evals=3") == 0
    assert sweeps(place) == [sweep]
    assert trials_of(sweep)[:2] == first
    assert len(trials_of(sweep)) == 3


def test_another_space_in_the_same_folder_is_refused_with_the_difference(
    place: Path, small_run: list[str], own_space: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(*small_run, "search=mine", "search.max_evals=1") == 0
    own_space.write_text(SPACE.replace("low: 0.02", "low: 0.03"), encoding="utf-8")
    assert search(*small_run, "search=mine", "search.max_evals=2") == 2
    printed = capsys.readouterr().err
    assert "loss.temperature" in printed
    assert "0.02" in printed
    assert "0.03" in printed
    assert "Traceback" not in printed


def test_what_was_trained_in_the_iteration_already_is_answered_from_the_record(
    place: Path, small_run: list[str]
) -> None:
    assert search(*small_run, "search=none", "params.items_lr=choice(1e-3,3e-3)", "search.max_evals=9") == 0
    assert search(*small_run, "search=none", "params.items_lr=choice(1e-3,3e-3,5e-3)", "search.max_evals=9") == 0
    trials = read_trials_table(sweeps(place)[1] / "trials.csv")
    assert {trial["params.items_lr"] for trial in trials if trial.get("known_from")} == {0.001, 0.003}
    assert [trial["params.items_lr"] for trial in trials if not trial.get("known_from")] == [0.005]


def test_seeds_with_a_search_are_averaged_not_optimised(place: Path, small_run: list[str]) -> None:
    assert search(*small_run, "search=none", "params.items_lr=choice(1e-3,3e-3)", "seed=1,2", "search.max_evals=1") == 0
    [sweep] = sweeps(place)
    [(_, params, _, [value])] = trials_of(sweep)  # type: ignore[misc]
    assert set(params) == {"params.items_lr"}  # type: ignore[call-overload]
    alone = [load_record(sweep / "0" / f"seed_{seed}").results.metrics["validation_ndcg@10"] for seed in (1, 2)]
    assert value == pytest.approx(sum(alone) / 2)


def test_trials_that_fail_are_failures_and_too_many_end_the_search(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "loss.temperature=choice(1e-44,2e-44,3e-44,0.05)"
    request = [*small_run, "search=none", bad, "hydra/sweeper=hft_optuna", "search.algorithm=grid"]
    assert search(*request, "search.max_failures=9") == 0
    [sweep] = sweeps(place)
    states = [state for *_, state, _ in trials_of(sweep)]
    assert sorted(states) == ["done", "failed", "failed", "failed"]
    assert winner_of(sweep).config["loss"]["temperature"] == 0.05
    assert search(*request, "search.max_failures=1", "run_name=other") == 1
    printed = capsys.readouterr().err
    assert "search.max_failures=1" in printed
    assert "Traceback" not in printed


def test_stages_narrow_the_space_around_the_best_of_the_one_before(place: Path, small_run: list[str]) -> None:
    stages = "search.stages=[{max_evals:3,overrides:['data.train_share=0.6']},{max_evals:2,around_best:0.3}]"
    lr = "params.items_lr=tag(log,interval(1e-4,1e-2))"
    assert search(*small_run, "search=none", lr, stages) == 0
    [sweep] = sweeps(place)
    trials = read_trials_table(sweep / "trials.csv")
    assert [(trial["stage"], trial["state"]) for trial in trials] == [(0, "done")] * 3 + [(1, "done")] * 2
    best = max(trials[:3], key=lambda trial: trial["validation_ndcg@10"])["params.items_lr"]
    assert trials[3]["params.items_lr"] == pytest.approx(best)
    assert abs(math.log10(trials[4]["params.items_lr"] / best)) <= 0.3 * 2
    assert winner_of(sweep).config["data"]["train_share"] == 1.0


def test_a_search_does_not_go_on_with_other_data(
    place: Path, tiny_model: list[str], small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = sessions()
    file = write_lines(place / "sessions.jsonl", rows)
    texts = write_lines(place / "items.jsonl", items())
    request = [*small_run, f"data.source.sessions={file}", f"data.source.items={texts}", "search=none"]
    request += ["params.items_lr=tag(log,interval(1e-4,1e-2))"]
    assert search(*request, "search.max_evals=1") == 0
    [sweep] = sweeps(place)
    before = trials_of(sweep)
    write_lines(file, rows[:-8])
    assert search(*request, "search.max_evals=2") == 2
    assert "began with other data" in capsys.readouterr().err
    assert trials_of(sweep) == before
    write_lines(file, rows)
    assert search(*request, "search.max_evals=2") == 0


def test_a_mistake_in_the_data_costs_no_trial(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lr = ("search=none", "params.items_lr=choice(1e-3,3e-3)")
    assert search(*small_run, *lr, "data.batch_id=never") == 2
    assert search(*small_run, *lr, "search.folds=1000") == 2
    printed = capsys.readouterr().err
    assert "never" in printed
    assert "Traceback" not in printed
    assert not list(place.rglob("trials.jsonl"))


def test_however_short_the_time_a_trial_is_run(place: Path, small_run: list[str]) -> None:
    assert search(*small_run, "search=none", "params.items_lr=choice(1e-3,3e-3)", "search.timeout=0.001") == 0
    assert len(trials_of(sweeps(place)[0])) == 1


def test_several_metrics_give_a_front_and_test_is_not_read(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = ["hydra/sweeper=hft_optuna", "search.metric=[ndcg@10,mrr@10]", "search.direction=[maximize,maximize]"]
    lr = "params.items_lr=tag(log,interval(1e-4,1e-2))"
    assert search(*small_run, "search=none", lr, *metrics, "search.max_evals=2") == 0
    assert "Test is not read" in capsys.readouterr().out
    assert not list(sweeps(place)[0].rglob("report.json"))


def test_the_best_of_an_enumeration_is_a_config_too(place: Path, small_run: list[str]) -> None:
    assert search(*small_run, "loss=infonce,margin", "seed=range(2)") == 0
    [sweep] = sweeps(place)
    assert [trial["seed"] for trial in read_trials_table(sweep / "trials.csv")] == [0, 1, 0, 1]
    assert main(["train", "--config-dir", str(sweep / "conf"), "winner=best"]) == 0
    [again] = [load_record(path) for path in place.rglob("run.yaml") if sweep not in path.parents]
    weights = {load_record(sweep / str(number)).results.weights for number in range(4)}
    assert again.results.weights in weights


def test_a_later_iteration_keeps_the_initial_models_values_on_its_queries(
    place: Path, tiny_model: list[str], batches: list[str]
) -> None:
    base = [*batches, *tiny_model, "threads=1", "trainer.enable_progress_bar=false", "tracking=csv"]
    assert main(["train", *base, "settings.negatives=shown", "data.batch_id=may"]) == 0
    assert main(["train", *base, "settings.negatives=shown", "data.batch_id=june", "iteration=next"]) == 0
    first, second = sorted((load_record(path) for path in place.rglob("run.yaml")), key=lambda one: one.started)
    values = np.load(second.folder / "per_query.npz")
    assert values["test/ndcg@10/initial"].shape == values["test/ndcg@10/tuned"].shape
    assert "test/ndcg@10/initial" not in np.load(first.folder / "per_query.npz")


@pytest.mark.slow
def test_a_search_that_is_killed_three_times_is_the_search_that_was_not(place: Path, small_run: list[str]) -> None:
    request = [*small_run, "search=none", "params.items_lr=tag(log,interval(1e-4,1e-2))"]
    whole, killed = place / "whole", place / "killed"
    command = [*request, f"hydra.sweep.dir={killed}", f"outputs={place / 'two'}"]
    for trials in (1, 2, 4):
        _kill_after(killed, trials, [*command, "search.max_evals=1000"])
    asked = (killed / "trials.jsonl").read_text(encoding="utf-8").count('"event": "ask"')
    budget = f"search.max_evals={asked + 1}"  # more than 6 where the machine was too busy to kill in time
    assert search(*command, budget) == 0
    assert search(*request, budget, f"hydra.sweep.dir={whole}", f"outputs={place / 'one'}") == 0
    assert trials_of(killed) == trials_of(whole)
    assert winner_of(killed).results.weights == winner_of(whole).results.weights


def _kill_after(sweep: Path, trials: int, command: Sequence[str]) -> None:
    """Starts the search and kills it, not gently, somewhere behind the given number of ended trials."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hft.train", "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    journal = sweep / "trials.jsonl"
    wait_until(
        lambda: (
            process.poll() is not None
            or (journal.exists() and journal.read_text(encoding="utf-8").count('"event": "tell"') >= trials)
        ),
        "some ended trials",
    )
    assert process.poll() is None, "the search ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("reuse", ["replay", "warm_start"])
def test_three_iterations_on_three_batches(place: Path, tiny_model: list[str], batches: list[str], reuse: str) -> None:
    base = [*batches, *tiny_model, "threads=1", "trainer.enable_progress_bar=false", "tracking=csv"]
    base += ["settings.negatives=shown", "search=none", "params.items_lr=tag(log,interval(1e-4,1e-2))"]
    assert search(*base, "data.batch_id=may", "search.max_evals=3") == 0
    later = ["iteration=next", f"search.reuse={reuse}", "search.n_top_runs=1", "search.max_evals=3"]
    assert search(*base, *later, "data.batch_id=june") == 0
    assert search(*base, *later, "data.batch_id=july") == 0
    first, second, third = sweeps(place)
    assert [winner_of(sweep).iteration for sweep in (first, second, third)] == ["initial", "1", "2"]
    assert winner_of(second).parent == winner_of(first).run_id
    assert winner_of(third).parent == winner_of(second).run_id
    rate = winner_of(first).config["params"]["items_lr"]
    assert trials_of(second)[0][1]["params.items_lr"] == pytest.approx(rate)  # type: ignore[index]
    assert len(trials_of(second)) == (2 if reuse == "replay" else 3)
    # Started again, the last iteration is found done: no trial more, no further iteration.
    assert search(*base, *later, "data.batch_id=july") == 0
    assert sweeps(place) == [first, second, third]


def test_a_single_run_of_the_next_iteration_starts_from_the_best(place: Path, small_run: list[str]) -> None:
    assert search(*small_run, "search=none", "params.items_lr=choice(1e-3,3e-3)") == 0
    [sweep] = sweeps(place)
    assert main(["train", *small_run, "iteration=next"]) == 0
    [record] = [load_record(path) for path in place.rglob("run.yaml") if sweep not in path.parents]
    assert (record.iteration, record.parent) == ("1", winner_of(sweep).run_id)
    assert record.config["iteration"]["start_from"] == winner_of(sweep).run_id


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (["search.metric=ndgc@10"], ["search.metric", "ndcg@10"]),
        (["search=none"], ["search.space", "empty"]),
        (["search=none", "params.margin=interval(0.5,0.1)"], ["params.margin"]),
        (["search=none", "params.items_lr=tag(log,interval(0,0.1))"], ["params.items_lr", "log"]),
        (["search=none", "params.item_lr=interval(0,0.1)"], ["params.item_lr", "params.items_lr"]),
        (["search=none", "params.items_lr=1e-3,3e-3", "iteration=next"], ["hft train -m"]),
        (["search=none", "params.items_lr=1e-3,3e-3", "iteration.start_from=nothing_like_it"], ["nothing_like_it"]),
        (["params.num_fixed_layers=0,7", "search=none"], ["params.num_fixed_layers", "2 layers"]),
        (["search.reuse=replay"], ["search.reuse", "iteration"]),
        (["search=initail"], ["initial"]),
        (["search.algorithm=cmaes"], ["search.algorithm", "hft_optuna"]),
    ],
)
def test_a_wrong_request_is_refused_before_any_training(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str], request_: list[str], told: list[str]
) -> None:
    assert search(*small_run, *request_) == 2
    printed = capsys.readouterr().err
    assert all(word in printed for word in told), printed
    assert "Traceback" not in printed
    assert not list(place.rglob("run.yaml"))
