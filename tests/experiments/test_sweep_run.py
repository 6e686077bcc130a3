"""A sweep in the tracking store: a parent run, its trials as children, and nothing lost where the store is away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_runs import plain, small_config, train_line

from hft.checksums import read_sealed
from hft.experiments import (
    ExperimentsManager,
    RunRecord,
    SweepRun,
    load_record,
    manager_for,
    sync,
    sync_sweeps,
    upload_model,
)
from hft.experiments.manager import SWEEP_ID_TAG
from hft.experiments.store import absolute_uri
from hft.experiments.sweep_tracking import SWEEP_TRACKING_NAME, load_sweep_tracking

SWEEP = "sweeps/line/initial/small-1"
FOLDER = Path("outputs") / SWEEP
NOWHERE = "http://127.0.0.1:9"


def config(uri: str, **changes: Any) -> Any:
    return small_config(tracking__kind="mlflow", tracking__uri=uri, **changes)


def sweep_run(uri: str, told: list[str] | None = None) -> SweepRun:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return SweepRun(FOLDER, SWEEP, plain(config(uri)), (told if told is not None else []).append)


def trial(uri: str, number: int, score: float = 0.5) -> RunRecord:
    return train_line(config(uri), FOLDER / str(number), score=score, sweep=SWEEP, trial=number)


def runs_of(uri: str) -> dict[str, Any]:
    """All runs of the store by MLflow's id, without the initial models."""
    from mlflow import MlflowClient

    client = MlflowClient(manager_for(uri).uri)
    experiment = client.get_experiment_by_name("line/initial")
    assert experiment is not None
    return {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}


def test_trials_are_children_of_the_sweeps_run(local_store: str) -> None:
    sweep = sweep_run(local_store)
    sweep.start({"space": {"params.margin": [0.01, 0.02]}, "max_evals": 2})
    records = [trial(local_store, number) for number in range(2)]
    for number, best in enumerate((0.4, 0.5)):
        sweep.trial_ended(number, "done", {"ndcg@10": best}, {"done": number + 1, "failed": 0})
    (FOLDER / "trials.csv").write_text("number\n0\n1\n")
    (FOLDER / "pictures").mkdir()
    (FOLDER / "pictures" / "history.png").write_bytes(b"png")
    sweep.end("budget", {"hft.best_trial": "1"})
    runs = runs_of(local_store)
    parent = runs.pop(str(sweep.mlflow_run_id))
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {sweep.mlflow_run_id}
    assert set(runs) == {record.tracking.mlflow_run_id for record in records}
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best_ndcg_at_10"] == 0.5
    assert parent.data.metrics["trials_done"] == 2.0
    assert parent.data.tags["hft.best_trial"] == "1"
    assert json.loads(parent.data.params["space.params.margin"]) == [0.01, 0.02]
    from mlflow import MlflowClient

    files = {file.path for file in MlflowClient(manager_for(local_store).uri).list_artifacts(parent.info.run_id)}
    assert {"trials.csv", "pictures"} <= files


@pytest.mark.parametrize(("ended", "status"), [("failures", "FAILED"), ("stopped", "KILLED"), ("timeout", "FINISHED")])
def test_the_sweeps_run_says_how_the_sweep_ended(local_store: str, ended: str, status: str) -> None:
    sweep = sweep_run(local_store)
    sweep.start({})
    sweep.end(ended)
    assert runs_of(local_store)[str(sweep.mlflow_run_id)].info.status == status


def test_a_resumed_sweep_goes_on_in_the_same_run(local_store: str) -> None:
    first = sweep_run(local_store)
    first.start({"max_evals": 2})
    first.trial_ended(0, "done", {"ndcg@10": 0.4}, {"done": 1})
    first.end("stopped")
    second = sweep_run(local_store)
    second.start({"max_evals": 5})
    second.trial_ended(1, "done", {"ndcg@10": 0.6}, {"done": 2})
    second.end("budget")
    (parent,) = runs_of(local_store).values()
    assert parent.info.run_id == first.mlflow_run_id == second.mlflow_run_id
    assert parent.info.status == "FINISHED"
    from mlflow import MlflowClient

    history = MlflowClient(manager_for(local_store).uri).get_metric_history(parent.info.run_id, "best_ndcg_at_10")
    assert [(value.step, value.value) for value in history] == [(0, 0.4), (1, 0.6)]


def test_a_sweep_made_anew_in_the_same_folder_is_another_run(local_store: str) -> None:
    first = sweep_run(local_store)
    first.start({})
    first.end("budget")
    (FOLDER / SWEEP_TRACKING_NAME).unlink()
    second = sweep_run(local_store)
    second.start({})
    assert second.mlflow_run_id != first.mlflow_run_id


def test_the_sweeps_run_is_taken_for_no_run_of_the_iteration(local_store: str) -> None:
    sweep = sweep_run(local_store)
    sweep.start({})
    sweep.trial_ended(0, "done", {"ndcg@10": 0.9}, {"done": 1})
    manager = manager_for(local_store)
    manager.log_rows(str(sweep.mlflow_run_id), [{"step": 0, "validation_ndcg@10": 0.99}])
    record = trial(local_store, 0, score=0.5)
    sweep.end("budget")
    assert manager.best_run("line/initial", "ndcg@10", "maximize").run_id == record.run_id
    assert len(manager.finished_runs("line/initial", "ndcg@10")) == 1
    assert manager.run_ids(str(sweep.mlflow_run_id)) == []


def test_a_store_that_is_away_is_told_of_once_and_the_sweep_goes_on() -> None:
    told: list[str] = []
    sweep = sweep_run(NOWHERE, told)
    sweep.start({})
    for number in range(3):
        sweep.trial_ended(number, "done", {"ndcg@10": 0.5}, {"done": number + 1})
    sweep.end("budget")
    assert len(told) == 1
    assert "hft runs --sync" in told[0]


def test_what_the_store_missed_is_pushed_later_with_trials_as_children(local_store: str) -> None:
    sweep = sweep_run(NOWHERE)
    sweep.start({"max_evals": 1})
    sweep.trial_ended(0, "done", {"ndcg@10": 0.5}, {"done": 1})
    record = trial(NOWHERE, 0)
    sweep.end("budget")
    for file, uri in ((FOLDER / SWEEP_TRACKING_NAME, local_store), (record.folder / "run.yaml", local_store)):
        file.write_text(read_sealed(file).replace(NOWHERE, uri))
    assert [outcome.problem for outcome in sync_sweeps()] == [None]
    assert [outcome.problem for outcome in sync()] == [None]
    assert sync_sweeps() == []
    state = load_sweep_tracking(FOLDER)
    assert state is not None
    runs = runs_of(local_store)
    parent = runs.pop(str(state.mlflow_run_id))
    assert parent.data.metrics["best_ndcg_at_10"] == 0.5
    assert [run.data.tags["mlflow.parentRunId"] for run in runs.values()] == [state.mlflow_run_id]


def test_a_sweep_whose_file_is_damaged_is_told(local_store: str) -> None:
    sweep_run(local_store).start({})
    (FOLDER / SWEEP_TRACKING_NAME).write_text("{")
    (outcome,) = sync_sweeps()
    assert outcome.folder == FOLDER
    assert "cannot be read" in str(outcome.problem)


def test_trials_that_were_pushed_before_their_sweep_become_its_children(local_store: str) -> None:
    record = trial(local_store, 0)
    sweep = sweep_run(local_store)
    sweep.start({})
    sweep.end("budget")
    child = runs_of(local_store)[str(record.tracking.mlflow_run_id)]
    assert child.data.tags["mlflow.parentRunId"] == sweep.mlflow_run_id


def test_a_killed_sweep_is_closed_by_the_sync(local_store: str) -> None:
    sweep = sweep_run(local_store)
    sweep.start({})
    state = load_sweep_tracking(FOLDER)
    assert state is not None
    assert sync_sweeps() == []  # it runs
    state.process = state.process.model_copy(update={"pid": 2**22 + 1})
    state.save()
    assert [outcome.problem for outcome in sync_sweeps()] == [None]
    (parent,) = runs_of(local_store).values()
    assert parent.info.status == "KILLED"


def test_a_sweep_that_is_tracked_in_files_only_asks_no_store() -> None:
    FOLDER.mkdir(parents=True)
    sweep = SweepRun(FOLDER, SWEEP, plain(small_config()), print)
    sweep.start({})
    sweep.trial_ended(0, "done", {}, {})
    sweep.end("budget")
    assert not (FOLDER / SWEEP_TRACKING_NAME).exists()


def test_a_broken_tracking_file_is_told_and_replaced(local_store: str) -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / SWEEP_TRACKING_NAME).write_text("{")
    told: list[str] = []
    sweep = sweep_run(local_store, told)
    sweep.start({})
    assert SWEEP_TRACKING_NAME in told[0]
    assert load_sweep_tracking(FOLDER) is not None


def test_only_the_winners_model_goes_into_the_store(local_store: str) -> None:
    record = train_search_trial(local_store)
    manager = manager_for(local_store)
    with pytest.raises(Exception, match="has no artifact 'model'"):
        manager.download_model(str(record.tracking.mlflow_run_id), "there")
    record.results.metrics["test_ndcg@10"] = 0.6
    record.save()
    upload_model(record, [absolute_uri(local_store)], print)
    assert (manager.download_model(str(record.tracking.mlflow_run_id), "there") / "model.safetensors").is_file()
    assert runs_of(local_store)[str(record.tracking.mlflow_run_id)].data.metrics["test_ndcg_at_10"] == 0.6
    assert load_record(record.folder).tracking.pending is False


def test_a_winner_whose_store_is_away_is_pending() -> None:
    record = train_search_trial(NOWHERE)
    told: list[str] = []
    upload_model(record, [absolute_uri(NOWHERE)], told.append)
    assert load_record(record.folder).tracking.pending is True
    assert "hft runs --sync" in told[0]


def train_search_trial(uri: str) -> RunRecord:
    """A trial with a model that measured validation alone."""
    from small_runs import save_to, start_run, torch

    with start_run(config(uri), FOLDER / "0", sweep=SWEEP, trial=0) as run:
        run.log({"step": 1, "epoch": 0, "train_loss": 1.0})
        save_to(torch.ones(3))(run.folder / "model")
        return run.finish({"validation_ndcg@10": 0.5})


def test_one_manager_serves_a_process(local_store: str) -> None:
    assert manager_for(local_store) is manager_for(f"sqlite:///{Path.cwd()}/outputs/mlflow.db")
    assert isinstance(manager_for(local_store), ExperimentsManager)
    assert SWEEP_ID_TAG == "hft.sweep_id"
