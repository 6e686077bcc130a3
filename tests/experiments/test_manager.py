"""ExperimentsManager in an SQLite store: runs, parameters that keep their types, the best run, models."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from small_runs import small_config, train_line

from hft.errors import DataError, RunNotFoundError
from hft.experiments import ExperimentsManager, RunRecord, load_record, weights_hash
from hft.experiments.projection import push_run

EXPERIMENT = "line/initial"


@pytest.fixture
def manager(local_store: str) -> ExperimentsManager:
    return ExperimentsManager(local_store)


def trained(name: str, score: float, **changes: object) -> RunRecord:
    return train_line(small_config(**changes), Path("outputs/line") / name, score=score)


def test_an_iteration_is_an_experiment_and_a_parameter_set_a_run(manager: ExperimentsManager) -> None:
    for name, iteration in (("a", "initial"), ("b", "initial"), ("c", "second")):
        push_run(manager, trained(name, 0.5, iteration__name=iteration))
    assert len(manager.finished_runs("line/initial", "ndcg@10")) == 2
    assert len(manager.finished_runs("line/second", "ndcg@10")) == 1


@pytest.mark.parametrize(("direction", "best"), [("maximize", "high"), ("minimize", "low")])
def test_the_best_run_follows_the_direction(manager: ExperimentsManager, direction: str, best: str) -> None:
    ids = {}
    for name, score in (("low", 0.1), ("high", 0.9), ("nan", math.nan)):
        ids[name] = push_run(manager, trained(name, score))
    assert manager.best_run(EXPERIMENT, "ndcg@10", direction).mlflow_run_id == ids[best]  # type: ignore[arg-type]


def test_a_run_that_failed_is_never_the_best(manager: ExperimentsManager) -> None:
    good = push_run(manager, trained("good", 0.1))
    failed = trained("failed", 0.9)
    failed.status = "failed"
    push_run(manager, failed)
    assert manager.best_run(EXPERIMENT, "ndcg@10", "maximize").mlflow_run_id == good


def test_an_experiment_without_a_value_is_named(manager: ExperimentsManager) -> None:
    with pytest.raises(RunNotFoundError, match="no experiment 'line/initial'"):
        manager.best_run(EXPERIMENT, "ndcg@10", "maximize")
    push_run(manager, trained("a", 0.5))
    with pytest.raises(RunNotFoundError, match=r"no finished run .* 'mrr@10'"):
        manager.best_run(EXPERIMENT, "mrr@10", "maximize")


def test_parameters_come_back_with_their_types(manager: ExperimentsManager) -> None:
    changes = {"params__examples_order": [1, 10], "params__num_fixed_layers": 2, "params__not_irrelevant_only": False}
    mlflow_run_id = push_run(manager, trained("a", 0.5, **changes))
    params = manager.params_of(mlflow_run_id)
    assert params.examples_order == [1, 10]
    assert params.num_fixed_layers == 2
    assert params.not_irrelevant_only is False
    assert params.max_abs_difference_threshold is None
    assert params.items_lr == 0.1


def test_parameters_that_are_none_of_ours_are_refused(manager: ExperimentsManager) -> None:
    mlflow_run_id = push_run(manager, trained("a", 0.5, params__learning_rate=1.0))
    with pytest.raises(DataError, match=f"{mlflow_run_id}: its params .*(?s:.*)learning_rate"):
        manager.params_of(mlflow_run_id)


def test_every_step_and_the_final_values_are_in_the_store(manager: ExperimentsManager) -> None:
    from mlflow import MlflowClient

    record = trained("a", 0.5)
    mlflow_run_id = push_run(manager, record)
    client = MlflowClient(manager.uri)
    history = client.get_metric_history(mlflow_run_id, "train_loss")
    assert [metric.step for metric in history] == list(range(1, 13))
    metrics = client.get_run(mlflow_run_id).data.metrics
    assert metrics["test_ndcg_at_10"] == 0.5
    assert metrics["test_ndcg_at_10_start"] == 0.25


def test_thousands_of_values_go_in_batches(manager: ExperimentsManager) -> None:
    from mlflow import MlflowClient

    mlflow_run_id = manager.start_run(EXPERIMENT, "one")
    manager.log_rows(mlflow_run_id, [{"step": n, "time": 1.0, "a": n, "b": n, "flag": True} for n in range(700)])
    assert len(MlflowClient(manager.uri).get_metric_history(mlflow_run_id, "b")) == 700


def test_pushing_twice_makes_one_run_and_doubles_nothing(manager: ExperimentsManager) -> None:
    from mlflow import MlflowClient

    record = trained("a", 0.5)
    assert push_run(manager, record) == push_run(manager, load_record(record.folder))
    assert len(manager.run_ids("")) == 1
    history = MlflowClient(manager.uri).get_metric_history(manager.run_ids("")[0], "train_loss")
    assert len(history) == 12


def test_the_initial_model_is_uploaded_once(manager: ExperimentsManager) -> None:
    saved = []

    def save(folder: Path) -> None:
        saved.append(folder)
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")

    first = manager.upload_initial_model("hash-1", save)
    assert manager.upload_initial_model("hash-1", save) == first
    assert len(saved) == 1
    assert manager.upload_initial_model("hash-2", save) != first


def test_an_upload_of_the_initial_model_that_failed_is_tried_again(manager: ExperimentsManager) -> None:
    def fail(folder: Path) -> None:
        raise ValueError("the disk is full")

    def save(folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")

    with pytest.raises(Exception, match="the disk is full"):
        manager.upload_initial_model("hash-1", fail)
    run_id = manager.upload_initial_model("hash-1", save)
    assert (manager.download_model(run_id, "model") / "model.safetensors").read_bytes() == b"weights"


def test_the_model_of_a_run_is_downloaded_with_the_same_weights(manager: ExperimentsManager) -> None:
    record = trained("a", 0.5)
    mlflow_run_id = push_run(manager, record)
    model = manager.download_model(mlflow_run_id, "downloaded/model")
    assert weights_hash(model) == record.results.weights


def test_a_model_that_was_not_uploaded_is_named(manager: ExperimentsManager) -> None:
    mlflow_run_id = push_run(manager, trained("a", 0.5, tracking__log_model=False))
    with pytest.raises(RunNotFoundError, match=r"no artifact 'model'.*tracking\.log_model=false"):
        manager.download_model(mlflow_run_id, "model")
    assert not Path("model").exists()


def test_a_downloaded_run_is_a_run_folder(manager: ExperimentsManager) -> None:
    record = trained("a", 0.5)
    mlflow_run_id = push_run(manager, record)
    again = load_record(manager.download_run(mlflow_run_id, "downloaded/run"))
    assert again.model_dump() == record.model_dump()
    assert again.tracking.pending is False
    assert weights_hash("downloaded/run/model") == record.results.weights


def test_an_experiment_that_was_deleted_is_restored(manager: ExperimentsManager) -> None:
    from mlflow import MlflowClient

    push_run(manager, trained("a", 0.5))
    client = MlflowClient(manager.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    push_run(manager, trained("b", 0.6))
    assert client.get_experiment(experiment.experiment_id).lifecycle_stage == "active"
